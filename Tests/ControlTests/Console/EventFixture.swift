@testable import Control

/// What an event says of a balancer that splits one route between `core` and `gateway`, three endpoints each, all well.
enum EventFixture {
    static func side(_ name: String, endpoints: Int = 3, available: Int = 3, isWeighted: Bool = true) -> EventBody.Side
    {
        var flow = SideFlow()
        flow.requestsPerSecond = 100
        flow.attempts = 1_000
        flow.errors = 0
        return EventBody.Side(
            upstream: name, flow: flow, endpoints: endpoints, availableEndpoints: available, outstanding: 0,
            isWeighted: isWeighted)
    }

    static func route(
        _ name: String = "api", core: (set: Double, now: Double) = (0.75, 0.75),
        gateway: (set: Double, now: Double) = (0.25, 0.25), failover: Bool = true
    ) -> EventBody.Route {
        func side(_ name: String, _ share: (set: Double, now: Double)) -> EventBody.RouteSide {
            EventBody.RouteSide(
                upstream: name, weight: UInt32(share.set * 100), share: share.set, effectiveShare: share.now,
                available: share.now > 0, requestsPerSecond: 0)
        }
        return EventBody.Route(
            name: name, failover: failover, sides: [side("core", core), side("gateway", gateway)])
    }

    static func event(_ change: (inout EventBody) -> Void = { _ in }) -> EventBody {
        var event = EventBody(
            at: "2026-01-02T03:04:05.000Z", sequence: 1, sentence: Sentence(level: .calm, text: ""), generation: 3,
            etag: "\"3\"", journal: 7, unready: nil, draining: false, connections: 12, exchanges: 3,
            requestsPerSecond: 412.3, windowSeconds: 10, sides: [Self.side("core"), Self.side("gateway")],
            routes: [Self.route()], routesOmitted: 0, troubles: [], troublesOmitted: 0, loadProblems: 0,
            loadProblem: nil, stale: [], journalTrouble: nil)
        change(&event)
        return event
    }

    static func trouble(
        _ upstream: String, _ address: String, _ availability: String = "down", cause: String = "connection refused",
        seconds: UInt64 = 240
    ) -> EventBody.Trouble {
        EventBody.Trouble(
            upstream: upstream, address: address, availability: availability, cause: cause, seconds: seconds)
    }
}
