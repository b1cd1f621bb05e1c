import Documents

extension GatewayMetrics {
    /// What is not counted but looked up when somebody asks.
    struct State: Sendable {
        /// How busy the database's clients are; nil for a store without any.
        var store: StoreUse?
        /// What is kept; nil for a service that keeps nothing.
        var cache: CacheUse?
        /// Answers that are made of many documents: how many are being made, and how many wait for a thread.
        var composing = (running: 0, waiting: 0)
        var connections = ConnectionUse()
        var process = ProcessFigures.current()
    }
}

/// Prometheus' text format, metric after metric.
struct MetricsPage {
    private(set) var text: String

    init(text: String = "") {
        self.text = text
    }

    mutating func gauge(_ name: String, _ help: String, _ value: Int, _ labels: String = "") {
        head(name, "gauge", help)
        line(name, "\(value)", labels)
    }

    mutating func counter(_ name: String, _ help: String, _ value: Int) {
        head(name, "counter", help)
        line(name, "\(value)")
    }

    private mutating func head(_ name: String, _ type: String, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    private mutating func line(_ name: String, _ value: String, _ labels: String = "") {
        text += labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n"
    }

    /// - Parameter start: when the process began, in seconds since 1970.
    mutating func add(_ state: GatewayMetrics.State, start: Double) {
        if let use = state.store {
            head("gateway_database_clients", "gauge", "Clients in the pool of connections to the database.")
            line("gateway_database_clients", "\(use.running)", #"state="busy""#)
            line("gateway_database_clients", "\(max(0, use.capacity - use.running))", #"state="idle""#)
            gauge("gateway_database_waiting", "Queries that wait for a client.", use.waiting)
        }
        head("gateway_composing", "gauge", "Answers of many documents that are being made or wait for a thread.")
        line("gateway_composing", "\(state.composing.running)", #"state="running""#)
        line("gateway_composing", "\(state.composing.waiting)", #"state="waiting""#)
        if let cache = state.cache {
            gauge("gateway_cache_entries", "Answers that are kept.", cache.entries)
            gauge("gateway_cache_bytes", "Memory that kept answers take.", cache.bytes)
            head("gateway_cache_evictions_total", "counter", "Kept answers given up, by reason.")
            line("gateway_cache_evictions_total", "\(cache.expired)", #"reason="age""#)
            line("gateway_cache_evictions_total", "\(cache.evicted)", #"reason="room""#)
        }
        add(state.connections)
        add(state.process, start: start)
        gauge("gateway_build_info", "The program's release.", 1, "version=\"\(GatewayVersion.current)\"")
    }

    private mutating func add(_ use: ConnectionUse) {
        gauge("gateway_connections", "Connections of clients.", use.open)
        gauge("gateway_connections_limit", "The most connections of clients.", use.limit)
        counter(
            "gateway_connections_cut_total",
            "Connections ended to make room: readers that had stopped, and idle ones beyond the bound.", use.cut)
        gauge("gateway_unsent_bytes", "Bytes of answers that clients have not taken.", use.unsent)
        gauge("gateway_memory_budget_bytes", "Memory for answers that are made, kept and sent.", use.budget)
        gauge("gateway_memory_used_bytes", "How much of it is taken.", use.used)
        gauge("gateway_memory_waiting", "Answers that wait for memory.", use.waiting)
        counter("gateway_memory_refusals_total", "How often there was none left for something.", use.refusals)
    }

    private mutating func add(_ figures: ProcessFigures, start: Double) {
        head("process_cpu_seconds_total", "counter", "Processor time, user and system.")
        line("process_cpu_seconds_total", "\(figures.processorSeconds)")
        gauge("process_resident_memory_bytes", "Resident memory.", figures.residentBytes)
        gauge("process_open_fds", "Open file descriptors.", figures.openDescriptors)
        gauge("process_max_fds", "The most file descriptors.", figures.mostDescriptors)
        gauge("process_threads", "Threads.", figures.threads)
        head("process_start_time_seconds", "gauge", "When the process began, in seconds since 1970.")
        line("process_start_time_seconds", "\(start)")
    }
}
