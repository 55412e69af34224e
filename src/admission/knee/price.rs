//! What a request of each class costs, so that outputs of different mixtures can be compared.

use crate::admission::law::ROUTE_CLASSES;

/// What a request of each class costs, where that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prices(pub(super) [Option<f64>; ROUTE_CLASSES]);

impl Prices {
    /// Of those that are known; 1 if none is. Never 0.
    pub(super) fn on_average(&self) -> f64 {
        let known = || self.0.iter().flatten();
        let count = known().count();
        if count == 0 { 1.0 } else { (known().sum::<f64>() / count as f64).max(1e-9) }
    }
}

/// How many requests of each class were served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kinds(pub(super) [u32; ROUTE_CLASSES]);

impl Default for Kinds {
    fn default() -> Self {
        Self([0; ROUTE_CLASSES])
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::reading::Reading;
    use super::super::window::Window;
    use super::*;
    use crate::admission::law::Load;
    use crate::admission::moment::Moment;

    /// A second in which so many of each class were served.
    fn second<const N: usize>(served: [usize; N]) -> Reading {
        let mut window = Window::new(Moment(0), Load::default());
        for (class, count) in served.into_iter().enumerate() {
            (0..count).for_each(|_| window.serve(class));
        }
        window.read(&Load::default(), Moment(0).after(Duration::from_secs(1)))
    }

    fn prices<const N: usize>(first: [Option<f64>; N]) -> Prices {
        Prices(std::array::from_fn(|class| first.get(class).copied().flatten()))
    }

    #[test]
    fn half_as_many_that_cost_twice_as_much_are_as_much() {
        let (cheap, dear) = (second([90, 5]), second([10, 45]));
        let priced = |reading: Reading| reading.priced(&prices([Some(1.0), Some(2.0)])).output;
        assert!((priced(cheap) - priced(dear)).abs() < 1e-9);
        assert!((dear.output - 55.0).abs() < 1e-9 && (cheap.throughput - 95.0).abs() < 1e-9);
        assert!(priced(second([0, 0])).abs() < 1e-9);
    }

    #[test]
    fn what_has_no_price_yet_costs_what_others_do_and_moves_nothing() {
        let prices = prices([Some(0.02), Some(2.0), None]);
        let without = second([300, 0, 0]).priced(&prices);
        let with = second([297, 0, 3]).priced(&prices);
        assert!((without.output - with.output).abs() < 1e-9, "as if the idle dear class were not there");
        assert!(without.unlike < 1e-9);
        let none = second([5, 0, 0]).priced(&Prices([None; ROUTE_CLASSES]));
        assert!((none.output - 5.0).abs() < 1e-9);
    }

    #[test]
    fn one_dear_answer_among_a_thousand_makes_the_output_doubtful() {
        let priced = second([1_000, 1]).priced(&prices([Some(0.02), Some(10.0)]));
        assert!((10.0..11.0).contains(&priced.unlike), "{}", priced.unlike);
    }
}
