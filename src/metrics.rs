//! Every metric: name, labels, unit. On a registry of its own, never the global one.
//!
//! Label values come from the configuration and from enumerations here, never from a request, so that
//! no client can make series.

use prometheus::{
    Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

/// All metrics. `NAMES` lists them; a test compares the list with the README.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Answered requests by route, decision, reason and status.
    pub requests: IntCounterVec,
    /// Seconds from the request's head to the end of its answer, forwarded requests only.
    pub duration: HistogramVec,
    /// Seconds from sending a request to the first byte of the upstream's answer.
    pub first_byte: HistogramVec,
    /// Connections of the crowd now.
    pub connections: IntGauge,
    /// Connections turned away at a cap.
    pub connections_refused: IntCounterVec,
    /// Connections that we closed, by reason.
    pub connections_closed: IntCounterVec,
    /// Clients cut off because they were too slow.
    pub slow_clients: IntCounterVec,
    /// The limit of an upstream.
    pub limit: IntGaugeVec,
    /// Seconds that an answer takes to begin when nobody waits, as the limit's law believes.
    pub limit_baseline: GaugeVec,
    /// Requests in flight that wait at the upstream, as the limit's law believes.
    pub limit_queue: GaugeVec,
    /// 1 for what the limit's law is doing.
    pub limit_phase: IntGaugeVec,
    /// Cuts of the limit by cause and verdict.
    pub limit_cuts: IntCounterVec,
    /// Requests unfinished at an upstream.
    pub in_flight: IntGaugeVec,
    /// Tunnels and event streams open at an upstream.
    pub tunnels: IntGaugeVec,
    /// Requests in the queue before an upstream, by class.
    pub queued: IntGaugeVec,
    /// How long those waited there who got through, by class.
    pub permit_wait: HistogramVec,
    /// By route, way and whether the budget allowed it.
    pub bypassed: IntCounterVec,
    /// Those who did not, by class and reason.
    pub permit_refused: IntCounterVec,
    /// 1 if an upstream takes requests.
    pub upstream_up: IntGaugeVec,
    /// Second tries.
    pub retries: IntCounterVec,
    /// 1 for the state that a room is in.
    pub room_state: IntGaugeVec,
    /// Highest number given.
    pub room_issued: IntGaugeVec,
    /// Highest number called.
    pub room_called: IntGaugeVec,
    /// Seats.
    pub room_seats: IntGaugeVec,
    /// Passes in use.
    pub room_active: IntGaugeVec,
    /// Claims without a seat yet.
    pub room_front_row: IntGaugeVec,
    /// By room and lane, where there are several.
    pub lane_waiting: IntGaugeVec,
    /// By room and lane.
    pub lane_front_row: IntGaugeVec,
    /// By room and lane.
    pub lane_late: IntGaugeVec,
    /// By room and lane.
    pub lane_called: IntCounterVec,
    /// By room and lane.
    pub lane_seated: IntCounterVec,
    /// Missed calls that will be made again.
    pub room_late: IntGaugeVec,
    /// Slots taken that are not over.
    pub room_slots: IntGaugeVec,
    /// Part of those called that come.
    pub room_show_rate: GaugeVec,
    /// Requests in flight per active pass.
    pub room_kappa: GaugeVec,
    /// People whose turn the webhook was told of.
    pub announced: IntCounterVec,
    /// Token buckets in memory.
    pub bucket_keys: IntGauge,
    /// Requests that found no bucket of their own because the table was full.
    pub bucket_table_full: IntCounter,
    /// Reloads by result.
    pub reloads: IntCounterVec,
    /// 1 if the last reload was put in place.
    pub reload_success: IntGauge,
    /// Counts up with each configuration put in place.
    pub config_generation: IntGauge,
    /// Failed writes of durable state.
    pub store_errors: IntCounter,
    /// Requests and connections that ended in a panic.
    pub panics: IntCounter,
    /// Access log lines dropped because the reader was too slow.
    pub log_dropped: IntCounter,
    /// Always 1; the version is a label.
    pub build_info: IntGaugeVec,
}

/// The name of every metric of ours.
pub const NAMES: &[&str] = &[
    "tornello_requests_total",
    "tornello_request_duration_seconds",
    "tornello_upstream_first_byte_seconds",
    "tornello_connections",
    "tornello_connections_refused_total",
    "tornello_connections_closed_total",
    "tornello_slow_clients_total",
    "tornello_concurrency_limit",
    "tornello_limit_baseline_seconds",
    "tornello_limit_queue",
    "tornello_limit_phase",
    "tornello_limit_cuts_total",
    "tornello_in_flight",
    "tornello_tunnels",
    "tornello_permit_queue_length",
    "tornello_permit_wait_seconds",
    "tornello_permit_refused_total",
    "tornello_bypass_total",
    "tornello_upstream_up",
    "tornello_retries_total",
    "tornello_room_state",
    "tornello_room_issued",
    "tornello_room_called",
    "tornello_room_seats",
    "tornello_room_active_passes",
    "tornello_room_front_row",
    "tornello_room_late",
    "tornello_room_slots",
    "tornello_room_show_rate",
    "tornello_room_kappa",
    "tornello_lane_waiting",
    "tornello_lane_front_row",
    "tornello_lane_late",
    "tornello_lane_called_total",
    "tornello_lane_seated_total",
    "tornello_announced_total",
    "tornello_bucket_keys",
    "tornello_bucket_table_full_total",
    "tornello_config_reloads_total",
    "tornello_config_last_reload_success",
    "tornello_config_generation",
    "tornello_store_errors_total",
    "tornello_panics_total",
    "tornello_access_log_dropped_total",
    "tornello_build_info",
];

const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// Only if two metrics have one name, which a test excludes.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let add = |collector: Box<dyn prometheus::core::Collector>| registry.register(collector);
        add(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        let counters =
            |name: &str, help: &str, labels: &[&str]| -> Result<IntCounterVec, prometheus::Error> {
                let made = IntCounterVec::new(Opts::new(name, help), labels)?;
                add(Box::new(made.clone()))?;
                Ok(made)
            };
        let gauges = |name: &str, help: &str, labels: &[&str]| -> Result<IntGaugeVec, prometheus::Error> {
            let made = IntGaugeVec::new(Opts::new(name, help), labels)?;
            add(Box::new(made.clone()))?;
            Ok(made)
        };
        let floats = |name: &str, help: &str, labels: &[&str]| -> Result<GaugeVec, prometheus::Error> {
            let made = GaugeVec::new(Opts::new(name, help), labels)?;
            add(Box::new(made.clone()))?;
            Ok(made)
        };
        let histogram =
            |name: &str, help: &str, labels: &[&str]| -> Result<HistogramVec, prometheus::Error> {
                let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
                let made = HistogramVec::new(options, labels)?;
                add(Box::new(made.clone()))?;
                Ok(made)
            };
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let made = IntCounter::new(name, help)?;
            add(Box::new(made.clone()))?;
            Ok(made)
        };
        let gauge = |name: &str, help: &str| -> Result<IntGauge, prometheus::Error> {
            let made = IntGauge::new(name, help)?;
            add(Box::new(made.clone()))?;
            Ok(made)
        };
        let build_info = gauges("tornello_build_info", "Always 1.", &["version"])?;
        build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(Self {
            requests: counters(
                "tornello_requests_total",
                "Answered requests.",
                &["route", "decision", "reason", "code"],
            )?,
            duration: histogram(
                "tornello_request_duration_seconds",
                "From the request's head to the end of its answer.",
                &["route"],
            )?,
            first_byte: histogram(
                "tornello_upstream_first_byte_seconds",
                "From sending to the upstream's first byte.",
                &["upstream"],
            )?,
            connections: gauge("tornello_connections", "Connections of the crowd.")?,
            connections_refused: counters(
                "tornello_connections_refused_total",
                "Connections turned away.",
                &["cap"],
            )?,
            connections_closed: counters(
                "tornello_connections_closed_total",
                "Connections that were closed for what they did or did not do.",
                &["reason"],
            )?,
            slow_clients: counters("tornello_slow_clients_total", "Clients cut off as too slow.", &["what"])?,
            limit: gauges(
                "tornello_concurrency_limit",
                "Most requests that may be unfinished.",
                &["upstream"],
            )?,
            limit_baseline: floats(
                "tornello_limit_baseline_seconds",
                "Time to the first byte when nobody waits, as the law believes.",
                &["upstream"],
            )?,
            limit_queue: floats(
                "tornello_limit_queue",
                "Requests that wait at the upstream, as the law believes.",
                &["upstream"],
            )?,
            limit_phase: gauges(
                "tornello_limit_phase",
                "1 for what the law is doing.",
                &["upstream", "phase"],
            )?,
            limit_cuts: counters(
                "tornello_limit_cuts_total",
                "Cuts of the limit.",
                &["upstream", "cause", "verdict"],
            )?,
            in_flight: gauges("tornello_in_flight", "Requests unfinished at the upstream.", &["upstream"])?,
            tunnels: gauges(
                "tornello_tunnels",
                "Tunnels and event streams open at the upstream.",
                &["upstream"],
            )?,
            queued: gauges(
                "tornello_permit_queue_length",
                "Requests that wait for a permit.",
                &["upstream", "class"],
            )?,
            permit_wait: histogram(
                "tornello_permit_wait_seconds",
                "How long those waited for a permit who got one and had to wait.",
                &["upstream", "class"],
            )?,
            bypassed: counters(
                "tornello_bypass_total",
                "Requests that might pass by a room, and whether the budget allowed it.",
                &["route", "way", "result"],
            )?,
            permit_refused: counters(
                "tornello_permit_refused_total",
                "Requests that got no permit.",
                &["upstream", "class", "reason"],
            )?,
            upstream_up: gauges("tornello_upstream_up", "1 if some address takes requests.", &["upstream"])?,
            retries: counters("tornello_retries_total", "Second tries.", &["upstream"])?,
            room_state: gauges(
                "tornello_room_state",
                "1 for the state that the room is in.",
                &["room", "state"],
            )?,
            room_issued: gauges("tornello_room_issued", "Highest number given.", &["room"])?,
            room_called: gauges("tornello_room_called", "Highest number called.", &["room"])?,
            room_seats: gauges("tornello_room_seats", "Seats.", &["room"])?,
            room_active: gauges("tornello_room_active_passes", "Passes in use.", &["room"])?,
            room_front_row: gauges("tornello_room_front_row", "Claims without a seat yet.", &["room"])?,
            lane_waiting: gauges("tornello_lane_waiting", "Numbers of a lane that wait.", &["room", "lane"])?,
            lane_front_row: gauges(
                "tornello_lane_front_row",
                "Claims of a lane without a seat yet.",
                &["room", "lane"],
            )?,
            lane_late: gauges(
                "tornello_lane_late",
                "Missed calls of a lane that will be made again.",
                &["room", "lane"],
            )?,
            lane_called: counters(
                "tornello_lane_called_total",
                "Calls of a lane, those of its late lane too.",
                &["room", "lane"],
            )?,
            lane_seated: counters(
                "tornello_lane_seated_total",
                "Seats that people of a lane took.",
                &["room", "lane"],
            )?,
            room_late: gauges("tornello_room_late", "Missed calls that will be made again.", &["room"])?,
            room_slots: gauges("tornello_room_slots", "Slots taken that are not over.", &["room"])?,
            room_show_rate: floats("tornello_room_show_rate", "Part of those called that come.", &["room"])?,
            room_kappa: floats("tornello_room_kappa", "Requests in flight per active pass.", &["room"])?,
            announced: counters(
                "tornello_announced_total",
                "People whose turn the webhook was told of.",
                &["room", "result"],
            )?,
            bucket_keys: gauge("tornello_bucket_keys", "Token buckets in memory.")?,
            bucket_table_full: counter(
                "tornello_bucket_table_full_total",
                "Requests without a bucket of their own.",
            )?,
            reloads: counters("tornello_config_reloads_total", "Reloads.", &["result"])?,
            reload_success: gauge(
                "tornello_config_last_reload_success",
                "1 if the last reload took effect.",
            )?,
            config_generation: gauge("tornello_config_generation", "Counts configurations put in place.")?,
            store_errors: counter("tornello_store_errors_total", "Failed writes of durable state.")?,
            panics: counter("tornello_panics_total", "Requests that ended in a panic.")?,
            log_dropped: counter("tornello_access_log_dropped_total", "Access log lines dropped.")?,
            build_info,
            registry,
        })
    }

    /// All metrics in Prometheus' text form.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut out) {
            tracing::error!(%error, "metrics could not be written");
        }
        out
    }
}
