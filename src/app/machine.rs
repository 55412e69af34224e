//! What the machine allows, read once at start: open files, the kernel's backlog, ports, memory.

use crate::config::settings::Settings;
use crate::edge::{RESERVED_FILES, open_files, open_files_max};

/// The backlog below which a burst of connections is dropped.
const BACKLOG_MIN: u64 = 4_096;
/// What a connection may come to hold: the largest head, and what is kept beside it.
const CONNECTION_BYTES: u64 = 40 * 1024;

/// What the machine says of itself; `None` where it does not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine {
    /// Files that the process may open.
    pub files: Option<usize>,
    /// Connections that these allow.
    pub connections: Option<usize>,
    /// `net.core.somaxconn`
    pub backlog: Option<u64>,
    /// Ports for connections to upstreams.
    pub ports: Option<u64>,
    /// Bytes of memory that can be had.
    pub memory: Option<u64>,
}

impl Machine {
    /// Asks the system.
    #[must_use]
    pub fn read() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).ok();
        let number = |path: &str| read(path).and_then(|text| text.trim().parse::<u64>().ok());
        let ports = read("/proc/sys/net/ipv4/ip_local_port_range").and_then(|text| {
            let mut ports = text.split_whitespace().filter_map(|port| port.parse::<u64>().ok());
            let (low, high) = (ports.next()?, ports.next()?);
            Some((high + 1).saturating_sub(low))
        });
        let free = read("/proc/meminfo").and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
            Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
        });
        // A container may have less than its machine.
        let group = number("/sys/fs/cgroup/memory.max");
        Self {
            files: open_files(),
            connections: open_files_max(),
            backlog: number("/proc/sys/net/core/somaxconn"),
            ports,
            memory: free.into_iter().chain(group).min(),
        }
    }

    /// Most connections that there will be: the operator's number, or what open files allow.
    #[must_use]
    pub fn connections(&self, settings: &Settings) -> usize {
        let wanted = settings.edge.max_connections;
        self.connections.map_or(wanted, |most| most.min(wanted))
    }

    /// What operators should know: one line a shortage.
    #[must_use]
    pub fn shortages(&self, settings: &Settings) -> Vec<String> {
        let mut found = Vec::new();
        let (wanted, most) = (settings.edge.max_connections, self.connections(settings));
        if let Some(files) = self.files.filter(|_| most < wanted) {
            found.push(format!(
                "{files} open files allow {most} connections, with as many to upstreams and {RESERVED_FILES} in \
                 reserve; max_connections is {wanted}, which takes {}: LimitNOFILE=1048576 is set in the packaged unit",
                2 * wanted + RESERVED_FILES
            ));
        }
        if let Some(short) = self.backlog.filter(|backlog| *backlog < BACKLOG_MIN) {
            found.push(format!(
                "net.core.somaxconn is {short}: a burst of connections beyond it is dropped; \
                 sysctl -w net.core.somaxconn=65535"
            ));
        }
        // Each address of an upstream has all ports to itself.
        let crowded = settings.upstreams.iter().find_map(|(name, upstream)| {
            let addresses = u64::try_from(upstream.addresses.len()).unwrap_or(1);
            let share = u64::from(upstream.limit.ceiling).div_ceil(addresses.max(1));
            self.ports.filter(|ports| *ports < share).map(|ports| (name, ports, share))
        });
        if let Some((name, ports, share)) = crowded {
            found.push(format!(
                "net.ipv4.ip_local_port_range leaves {ports} ports; the ceiling of upstream `{name}` is up to \
                 {share} connections to one address; sysctl -w net.ipv4.ip_local_port_range='1024 65535'"
            ));
        }
        let bytes = u64::try_from(most).unwrap_or(u64::MAX).saturating_mul(CONNECTION_BYTES);
        let bytes = bytes.saturating_add(settings.buckets_bytes);
        if let Some(memory) = self.memory.filter(|memory| *memory < bytes) {
            found.push(format!(
                "{most} connections and all buckets may take {} MiB; {} MiB of memory can be had: lower \
                 max_connections or bucket_memory",
                bytes >> 20,
                memory >> 20
            ));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let text = "[listen]\nhttp = \"127.0.0.1:0\"\n[upstream.app]\naddresses = [\"127.0.0.1:1\"]\n\
                    [route.all]\nupstream = \"app\"\n";
        crate::config::parse(text, "t").unwrap().0
    }

    #[test]
    fn each_shortage_is_said_once_with_what_to_do() {
        let settings = settings();
        assert!(Machine::default().shortages(&settings).is_empty(), "what is not known is not complained of");
        let rich = Machine {
            files: Some(1 << 20),
            connections: Some(500_000),
            backlog: Some(65_535),
            ports: Some(64_000),
            memory: Some(8 << 30),
        };
        assert!(rich.shortages(&settings).is_empty());
        assert_eq!(rich.connections(&settings), settings.edge.max_connections);
        for (poor, word) in [
            (
                Machine { files: Some(256), connections: Some(80), ..rich },
                "256 open files allow 80 connections",
            ),
            (Machine { backlog: Some(128), ..rich }, "somaxconn is 128"),
            (Machine { ports: Some(999), ..rich }, "leaves 999 ports"),
            (Machine { memory: Some(64 << 20), ..rich }, "64 MiB of memory"),
        ] {
            let said = poor.shortages(&settings);
            assert!(said.len() == 1 && said[0].contains(word), "{said:?}");
        }
    }

    #[test]
    fn this_machine_says_something() {
        let machine = Machine::read();
        assert!(machine.files.is_some() && machine.connections.is_some_and(|most| most > 0));
    }
}
