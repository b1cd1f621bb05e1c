/// How things are, in one line of words: what `balancer status` and the dashboard begin with.
package struct Sentence: Sendable, Equatable, Codable {
    package enum Level: String, Sendable, Codable, Comparable {
        /// Nothing is wrong.
        case calm
        /// Clients are served, and somebody should look.
        case attention
        /// Clients notice, or would if one thing more went wrong.
        case trouble

        private var order: Int {
            switch self {
            case .calm: 0
            case .attention: 1
            case .trouble: 2
            }
        }

        package static func < (left: Level, right: Level) -> Bool { left.order < right.order }
    }

    package var level: Level
    package var text: String

    package init(level: Level, text: String) {
        self.level = level
        self.text = text
    }

    /// Of the facts of `event`, whose own sentence does not count.
    package init(_ event: EventBody) {
        var parts = [Self.lead(event)]
        let shares = Self.shares(event)
        if !shares.isEmpty { parts.append(shares) }
        let faults = Self.faults(event).sorted { $0.level > $1.level }
        parts += faults.prefix(Self.told).map(\.text)
        if faults.count > Self.told { parts.append("\(faults.count - Self.told) more.") }
        if faults.isEmpty, event.unready == nil, !event.draining { parts.append("Nothing is wrong.") }
        let lead: Level = event.unready == nil ? .calm : event.draining ? .attention : .trouble
        self.level = max(lead, faults.first?.level ?? .calm)
        self.text = parts.joined(separator: " ")
    }

    /// Faults that are told; beyond, they are counted.
    private static let told = 2

    private struct Fault {
        var level: Level
        var text: String
    }

    // MARK: who is served, by whom

    private static func lead(_ event: EventBody) -> String {
        if event.draining {
            return "Draining: nothing new is taken, \(Words.count(event.exchanges, "request")) under way."
        }
        if let reason = event.unready { return "Not serving: \(reason)." }
        guard event.requestsPerSecond > 0 else {
            return "Ready; no requests in the last \(Words.duration(UInt64(event.windowSeconds.rounded())))."
        }
        return "Serving \(Words.rate(event.requestsPerSecond)) requests/s."
    }

    private static func shares(_ event: EventBody) -> String {
        let split = event.routes.filter { $0.sides.count > 1 }
        guard let first = split.first else { return "" }
        func line(_ sides: [EventBody.RouteSide], _ share: (EventBody.RouteSide) -> Double) -> String {
            sides.map { "\($0.upstream) \(Words.percent(share($0)))" }.joined(separator: ", ")
        }
        func words(_ route: EventBody.Route) -> String {
            guard route.sides.contains(where: { abs($0.share - $0.effectiveShare) > 0.0005 }) else {
                return "\(line(route.sides, \.share)) as set"
            }
            return "\(line(route.sides, \.effectiveShare)) now, where \(line(route.sides, \.share)) is set"
        }
        let all = split.map(words)
        if Set(all).count == 1, event.routesOmitted == 0 { return "\(words(first))." }
        if split.count <= 2, event.routesOmitted == 0 {
            return zip(split, all).map { "\($0.name): \($1)." }.joined(separator: " ")
        }
        let astray = zip(split, all).filter { !$1.hasSuffix("as set") }.map(\.0.name)
        let count = Words.count(UInt64(split.count + event.routesOmitted), "route")
        guard let name = astray.first else { return "\(count) as set." }
        return astray.count == 1 ? "\(count), \(name) not as set." : "\(count), \(astray.count) of them not as set."
    }

    // MARK: what is wrong

    private static func faults(_ event: EventBody) -> [Fault] {
        var faults: [Fault] = []
        for route in event.routes where route.sides.contains(where: { $0.weight > 0 }) {
            guard route.sides.allSatisfy({ $0.effectiveShare == 0 }) else { continue }
            let names = route.sides.filter { $0.weight > 0 }.map(\.upstream).joined(separator: ", ")
            faults.append(
                Fault(level: .trouble, text: "\(route.name) answers 503: no endpoint of \(names) is available."))
        }
        for side in event.sides {
            faults += Self.endpoints(of: side, event)
            if let errors = side.flow.errors, errors >= 0.01, side.flow.attempts >= 20 {
                faults.append(
                    Fault(
                        level: errors >= 0.05 ? .trouble : .attention,
                        text: "\(side.upstream): \(Words.percent(errors)) of its answers are errors."))
            }
        }
        if event.loadProblems > 0 {
            let problem = event.loadProblem.map { ": \($0)" } ?? ""
            faults.append(
                Fault(
                    level: .attention,
                    text: "The file was rejected (\(Words.count(UInt64(event.loadProblems), "problem"))\(problem)); "
                        + "what was in force stays."))
        }
        if let cluster = event.cluster {
            if let seconds = cluster.cutOffSeconds {
                let time = seconds > 0 ? " for \(Words.duration(seconds))" : ""
                faults.append(
                    Fault(
                        level: .attention,
                        text:
                            "Changes cannot be agreed on with the other replicas\(time) (\(cluster.reason)): they are "
                            + "refused, and what is in force stays."))
            } else if let remark = cluster.remarks.first {
                let more = cluster.remarks.count > 1 ? ", and \(cluster.remarks.count - 1) more" : ""
                faults.append(Fault(level: .attention, text: "Of the replicas, \(remark)\(more)."))
            }
        }
        if let trouble = event.journalTrouble {
            faults.append(Fault(level: .attention, text: "The journal cannot be written: \(trouble)."))
        }
        if let name = event.stale.first {
            let more = event.stale.count > 1 ? " and \(event.stale.count - 1) more" : ""
            faults.append(
                Fault(level: .attention, text: "Endpoints of \(name)\(more) could not be found at the last attempt."))
        }
        return faults
    }

    private static func endpoints(of side: EventBody.Side, _ event: EventBody) -> [Fault] {
        let own = event.troubles.filter { $0.upstream == side.upstream }
        var faults: [Fault] = []
        let kinds: [(availability: String, words: String, isFailure: Bool)] = [
            ("down", "down", true), ("ejected", "ejected", true), ("refused", "refused", true),
            ("maintenance", "in maintenance", false), ("draining", "draining", false),
        ]
        for kind in kinds {
            let some = own.filter { $0.availability == kind.availability }
            guard let oldest = some.max(by: { $0.seconds < $1.seconds }) else { continue }
            let count =
                some.count == side.endpoints
                ? side.endpoints == 1 ? "its endpoint" : "all \(side.endpoints) endpoints"
                : "\(some.count) of \(side.endpoints) endpoints"
            var text = "\(side.upstream): \(count) \(kind.words) for \(Words.duration(oldest.seconds))"
            if kind.isFailure { text += " (\(oldest.cause.isEmpty ? "" : "\(oldest.cause) at ")\(oldest.address))" }
            text += Self.consequence(side, event)
            let isSerious = kind.isFailure && side.isWeighted && side.availableEndpoints == 0
            faults.append(Fault(level: isSerious ? .trouble : .attention, text: text + "."))
        }
        return faults
    }

    /// Who bears what the side cannot.
    private static func consequence(_ side: EventBody.Side, _ event: EventBody) -> String {
        guard side.isWeighted else { return "; no route sends anything there" }
        guard side.availableEndpoints == 0 else { return "; the others of \(side.upstream) carry its share" }
        let routes = event.routes.filter { route in
            route.sides.contains { $0.upstream == side.upstream && $0.weight > 0 }
        }
        let isCarried = routes.allSatisfy { route in
            route.sides.contains { $0.upstream != side.upstream && $0.effectiveShare > 0 } && route.failover
        }
        return isCarried && !routes.isEmpty ? "; its share is carried by the others" : "; its share is answered 503"
    }
}

/// Numbers as people read them.
package enum Words {
    /// `1 request`, `12 requests`.
    package static func count(_ count: UInt64, _ noun: String) -> String {
        "\(Self.grouped(count)) \(noun)\(count == 1 ? "" : "s")"
    }

    /// `0.4`, `12`, `12,345`.
    package static func rate(_ rate: Double) -> String {
        guard rate.isFinite, rate < 1e15 else { return "\(rate)" }
        guard rate < 9.95 else { return Self.grouped(UInt64(max(rate, 0).rounded())) }
        let tenths = Int((max(rate, 0) * 10).rounded())
        return tenths == 0 && rate > 0 ? "0.1" : tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
    }

    /// `75 %`, `0.1 %`: what is little is not shown as nothing, nor what is nearly all as all.
    package static func percent(_ share: Double) -> String {
        guard share.isFinite else { return "–" }
        let tenths = Int((min(max(share, 0), 1) * 1_000).rounded())
        if tenths == 0, share > 0 { return "0.1 %" }
        if tenths == 1_000, share < 1 { return "99.9 %" }
        return tenths % 10 == 0 ? "\(tenths / 10) %" : "\(tenths / 10).\(tenths % 10) %"
    }

    /// `12 s`, `4 min`, `3 h`, `5 days`.
    package static func duration(_ seconds: UInt64) -> String {
        switch seconds {
        case 0..<90: "\(seconds) s"
        case 90..<5_400: "\((seconds + 30) / 60) min"
        case 5_400..<172_800: "\((seconds + 1_800) / 3_600) h"
        default: "\(seconds / 86_400) days"
        }
    }

    /// `0.5`, `12.34`: with so many places at most.
    package static func decimal(_ value: Double, places: Int) -> String {
        guard value.isFinite else { return "–" }
        let text = "\(rounded(value, (0..<places).reduce(1.0) { power, _ in power * 10 }))"
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    private static func grouped(_ number: UInt64) -> String {
        var text = ""
        for (index, digit) in String(number).reversed().enumerated() {
            if index > 0, index % 3 == 0 { text = "," + text }
            text = String(digit) + text
        }
        return text
    }
}
