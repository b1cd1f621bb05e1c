import Documents
import Synchronization

/// What `/metrics` tells. Counters without locks; a request touches three of them.
package final class GatewayMetrics: Sendable {
    /// What a request was for, beyond the API's own routes.
    package enum Kind: Sendable, Equatable {
        case route(Route)
        case health
        case operations
        case page
        case unknown
    }

    /// Upper bounds of the latency histogram in microseconds.
    private static let bounds: [Int64] = [
        100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 350_000, 500_000, 750_000, 1_000_000,
        2_500_000,
    ]

    private final class Counter: Sendable {
        private let value = Atomic<Int64>(0)
        func add(_ amount: Int64 = 1) { value.add(amount, ordering: .relaxed) }
        var current: Int64 { value.load(ordering: .relaxed) }
    }

    /// One row per kind: requests by status, and how long they took.
    private struct Row: Sendable {
        let label: String
        let statuses: [(code: String, counter: Counter)]
        let buckets: [Counter]
        let microseconds = Counter()

        init(_ label: String) {
            self.label = label
            statuses = ["200", "204", "304", "400", "404", "408", "413", "431", "500", "503"].map { ($0, Counter()) }
            buckets = (0...GatewayMetrics.bounds.count).map { _ in Counter() }
        }
    }

    private let rows: [Row]
    private let immediate: [Counter]
    private let hits: [Counter]
    private let databaseErrors = DatabaseFailure.allCases.map { _ in Counter() }
    private let refusals = Counter()
    private let stale = Counter()
    private let encodings = ContentCoding.allCases.map { _ in Counter() }
    private let inFlight = Counter()
    /// Seconds since 1970.
    private let start: Double
    /// -1 as long as nobody has asked.
    private let database = Atomic<Int64>(-1)

    /// - Parameter upSince: when the process began, in milliseconds since 1970.
    package init(upSince: Int64 = 0) {
        start = Double(upSince) / 1000
        rows =
            Route.allCases.map { Row($0.template) }
            + ["/healthcheck", "operations", "documentation", "none"].map(Row.init)
        immediate = rows.map { _ in Counter() }
        hits = rows.map { _ in Counter() }
    }

    /// Counts a finished request.
    package func count(_ kind: Kind, status: Int, duration: Duration) {
        let row = rows[index(of: kind)]
        if let place = row.statuses.firstIndex(where: { $0.code == String(status) }) {
            row.statuses[place].counter.add()
        }
        let (seconds, attoseconds) = duration.components
        let microseconds = seconds &* 1_000_000 &+ attoseconds / 1_000_000_000_000
        row.microseconds.add(microseconds)
        row.buckets[Self.bounds.firstIndex { microseconds <= $0 } ?? Self.bounds.count].add()
    }

    /// Counts a request answered with 200 on the spot. It takes no time worth a histogram.
    ///
    /// - Parameters:
    ///   - index: what ``index(of:)`` says of the request's kind.
    ///   - isHit: the answer came from the cache.
    func countImmediate(_ index: Int, isHit: Bool) {
        immediate[index].add()
        if isHit { hits[index].add() }
    }

    /// Counts a request whose answer came from the cache, and which ``count(_:status:duration:)`` counts too.
    func countHit(_ kind: Kind) {
        hits[index(of: kind)].add()
    }

    package func count(_ failure: DatabaseFailure) {
        guard let place = DatabaseFailure.allCases.firstIndex(of: failure) else { return }
        databaseErrors[place].add()
    }

    /// Counts a body that was put into another form.
    func count(_ coding: ContentCoding) {
        guard let place = ContentCoding.allCases.firstIndex(of: coding) else { return }
        encodings[place].add()
    }

    /// Notes that a request is being answered; to be balanced by ``endRequest()``.
    func beginRequest() {
        inFlight.add()
    }

    func endRequest() {
        inFlight.add(-1)
    }

    /// Counts a request that was refused because too much is going on.
    package func countRefusal() {
        refusals.add()
    }

    /// Counts an answer that was given although it is too old, because there was no other.
    package func countStale() {
        stale.add()
    }

    /// Notes whether the database answered when it was last asked whether it is there.
    func setDatabase(isUp: Bool) {
        database.store(isUp ? 1 : 0, ordering: .relaxed)
    }

    /// The label under which a kind of request is counted and logged.
    func label(_ kind: Kind) -> String { rows[index(of: kind)].label }

    func index(of kind: Kind) -> Int {
        switch kind {
        case .route(let route): route.index
        case .health: Route.allCases.count
        case .operations: Route.allCases.count + 1
        case .page: Route.allCases.count + 2
        case .unknown: Route.allCases.count + 3
        }
    }

    /// Everything in Prometheus' text format.
    func text(_ state: State) -> String {
        var text = """
            # HELP gateway_requests_total Requests answered, by route template and status; cache hits included.
            # TYPE gateway_requests_total counter

            """
        for (index, row) in rows.enumerated() {
            let kept = immediate[index].current
            for (code, counter) in row.statuses {
                let total = counter.current + (code == "200" ? kept : 0)
                if total > 0 { text += "gateway_requests_total{route=\"\(row.label)\",status=\"\(code)\"} \(total)\n" }
            }
        }
        text += """
            # HELP gateway_cache_hits_total Requests answered from the response cache, by route template.
            # TYPE gateway_cache_hits_total counter

            """
        for (index, row) in rows.enumerated() where hits[index].current > 0 {
            text += "gateway_cache_hits_total{route=\"\(row.label)\"} \(hits[index].current)\n"
        }
        text += """
            # HELP gateway_request_duration_seconds Time to answer requests that were not in the cache, by route template.
            # TYPE gateway_request_duration_seconds histogram

            """
        for row in rows { text += Self.histogram(row) }
        text += """
            # HELP gateway_database_errors_total Requests and readiness checks that the database failed, by reason.
            # TYPE gateway_database_errors_total counter

            """
        // All of them from the start: of a series that begins with 1 nobody sees the rise.
        for (failure, counter) in zip(DatabaseFailure.allCases, databaseErrors) {
            text += "gateway_database_errors_total{reason=\"\(failure.rawValue)\"} \(counter.current)\n"
        }
        text += """
            # HELP gateway_encodings_total Bodies put into another form, by coding; each is kept with its answer.
            # TYPE gateway_encodings_total counter

            """
        for (coding, counter) in zip(ContentCoding.allCases, encodings) {
            text += "gateway_encodings_total{coding=\"\(coding.rawValue)\"} \(counter.current)\n"
        }
        var page = MetricsPage(text: text)
        let up = database.load(ordering: .relaxed)
        if up >= 0 {
            page.gauge("gateway_database_up", "Whether the database answered the last readiness check.", Int(up))
        }
        page.counter(
            "gateway_refused_total", "Requests answered with 503 because too much was going on.",
            Int(refusals.current))
        page.counter("gateway_stale_answers_total", "Answers given although they were too old.", Int(stale.current))
        page.gauge("gateway_requests_in_flight", "Requests that are being answered.", Int(inFlight.current))
        page.add(state, start: start)
        return page.text
    }

    private static func histogram(_ row: Row) -> String {
        let counts = row.buckets.map(\.current)
        let total = counts.reduce(0, +)
        guard total > 0 else { return "" }
        var text = ""
        var sum: Int64 = 0
        for (index, bound) in bounds.enumerated() {
            sum += counts[index]
            text +=
                "gateway_request_duration_seconds_bucket{route=\"\(row.label)\",le=\"\(Double(bound) / 1e6)\"} \(sum)\n"
        }
        text += "gateway_request_duration_seconds_bucket{route=\"\(row.label)\",le=\"+Inf\"} \(total)\n"
        text +=
            "gateway_request_duration_seconds_sum{route=\"\(row.label)\"} \(Double(row.microseconds.current) / 1e6)\n"
        text += "gateway_request_duration_seconds_count{route=\"\(row.label)\"} \(total)\n"
        return text
    }
}

extension Route {
    /// The route's place in `allCases`.
    var index: Int { Self.places[self] ?? 0 }

    private static let places = Dictionary(uniqueKeysWithValues: allCases.enumerated().map { ($1, $0) })
}
