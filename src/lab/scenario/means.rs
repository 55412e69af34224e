//! What a scenario amounts to on average, by the means of its laws: what a session costs, how long it
//! takes, how many of them a pool can do. For those who count people instead of playing each of them.

use std::fmt;

use super::{Class, Conduct, Level, People, Scenario};

impl Scenario {
    /// Whether these people want something of a pool: they are the ones of whom the report counts how
    /// many reached their goal. The others must merely not suffer.
    #[must_use]
    pub fn seeks(&self, class: &Class) -> bool {
        let Conduct::People(people) = &class.conduct else { return false };
        people.steps.iter().filter_map(|step| self.endpoints.get(*step)).any(|end| end.pool.is_some())
    }

    /// Work of one such person in all pools, in seconds.
    #[must_use]
    pub fn work_s(&self, people: &People) -> f64 {
        (0..self.pools.len()).map(|pool| self.work_in_pool_s(people, pool)).sum()
    }

    /// Work of one such person in one pool, in seconds.
    #[must_use]
    pub fn work_in_pool_s(&self, people: &People, pool: usize) -> f64 {
        let cost = |(step, times): (usize, f64)| {
            let end = self.endpoints.get(step).filter(|end| end.pool == Some(pool));
            end.map_or(0.0, |end| times * end.service.mean_s())
        };
        people.visits().map(cost).sum()
    }

    /// Sessions a second that a pool can do, if everybody of this class came in their shares and
    /// nothing were wasted; `None` if they need nothing of it.
    #[must_use]
    pub fn sessions_per_s(&self, people: &People, pool: usize) -> Option<f64> {
        let work = self.work_in_pool_s(people, pool);
        let slots = self.pools.get(pool)?.slots;
        (work > 0.0).then(|| slots as f64 / work)
    }

    /// Length of such a session from its first request to its last answer, in seconds, if nobody has
    /// to wait: the work, wherever it is done, and the pauses between.
    #[must_use]
    pub fn session_s(&self, people: &People) -> f64 {
        let service = |(step, times): (usize, f64)| {
            self.endpoints.get(step).map_or(0.0, |end| times * end.service.mean_s())
        };
        let pauses = (people.requests() - 1.0).max(0.0) * people.think.mean_s();
        people.visits().map(service).sum::<f64>() + pauses
    }

    /// Everybody who wants something of a pool.
    #[must_use]
    pub fn seekers(&self) -> usize {
        self.classes.iter().filter(|class| self.seeks(class)).map(|class| class.people).sum()
    }
}

/// `S-BB, by request: 1500 citizen; 5 slots of idp, 50.0 sessions a second; 60 s`.
impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Request => "request",
            Level::Session => "session",
        };
        let classes: Vec<String> =
            self.classes.iter().map(|class| format!("{} {}", class.people, class.id)).collect();
        write!(f, "{}, by {level}: {}", self.name, classes.join(", "))?;
        let people = self.classes.iter().find_map(|class| match &class.conduct {
            Conduct::People(people) if self.seeks(class) => Some(people),
            _ => None,
        });
        for (index, pool) in self.pools.iter().enumerate() {
            write!(f, "; {} slots of {}", pool.slots, pool.id)?;
            if let Some(rate) = people.and_then(|people| self.sessions_per_s(people, index)) {
                write!(f, ", {rate:.1} sessions a second")?;
            }
        }
        write!(f, "; {} s", self.horizon.as_secs_f64())
    }
}

impl People {
    /// The endpoints of a session with the mean number of visits to each step; an endpoint that stands
    /// at two places of the way comes twice.
    pub fn visits(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let again = self.repeat.as_ref().map_or(1.0, |repeat| {
            let total: f64 = repeat.times.iter().sum();
            let times = repeat.times.iter().enumerate().map(|(extra, share)| (extra + 1) as f64 * share);
            times.sum::<f64>() / total
        });
        let inside = |index: usize| {
            self.repeat.as_ref().is_some_and(|repeat| (repeat.from..=repeat.to).contains(&index))
        };
        self.steps.iter().enumerate().map(move |(index, step)| {
            let once = if inside(index) { again } else { 1.0 };
            let closes = index + self.closing >= self.steps.len();
            (*step, if closes { once } else { once * f64::from(self.cases) })
        })
    }

    /// Mean number of requests of a session in which nothing goes wrong.
    #[must_use]
    pub fn requests(&self) -> f64 {
        self.visits().map(|(_, times)| times).sum()
    }

    /// Mean number of devices.
    #[must_use]
    pub fn devices_mean(&self) -> f64 {
        let total: f64 = self.devices.iter().sum();
        let devices = self.devices.iter().enumerate().map(|(extra, share)| (extra + 1) as f64 * share);
        devices.sum::<f64>() / total.max(f64::MIN_POSITIVE)
    }
}
