import Ledger
import Traffic

/// Routes and endpoints that go back to where they stood.
package struct Restoration: Sendable, Equatable {
    /// By route; nil: as the file says.
    package var weights: [String: [String: UInt32]?] = [:]
    package var administrative: [EndpointKey: Administrative] = [:]
    /// The id of the change that is taken back, or `generation 7`.
    package var undoes = ""
    package var reason = ""
    package var ifMatch: [String] = []
    /// Who asks, and whether it is meant in spite of a plan whose weights these are.
    package var who = ""
    package var force = false

    /// Back to what a position tells.
    mutating func add(_ entry: JournalEntry) {
        guard let before = entry.before else { return }
        if let weights = before.weights {
            self.weights[entry.subject] = .some(weights == before.fileWeights ? nil : weights)
        } else if let key = before.endpoint, let state = before.administrative.flatMap({ Administrative(word: $0) }) {
            self.administrative[key] = state
        }
    }

    /// Back to where everything stood before the first of `entries`, which are in order.
    package static func before(_ entries: [JournalEntry], undoes: String) -> Restoration {
        var restoration = Restoration()
        restoration.undoes = undoes
        // From the end, so that the earliest of each subject has the last word.
        for entry in entries.reversed() where entry.isUndoable { restoration.add(entry) }
        return restoration
    }
}

extension Position {
    /// `core 90, gateway 10, in the file core 100, gateway 0`, or `core: drain`.
    var words: String {
        guard let weights = self.weights else { return "\(self.upstream ?? ""): \(self.administrative ?? "")" }
        guard let file = self.fileWeights, file != weights else { return "\(weights.words), as in the file" }
        return "\(weights.words), in the file \(file.words)"
    }

    var endpoint: EndpointKey? {
        guard let upstream = self.upstream, let address = self.address.flatMap({ SocketAddress(parsing: $0) }) else {
            return nil
        }
        return EndpointKey(upstream: upstream, address: address)
    }
}

extension JournalEntry {
    /// It changed something that can stand where it stood before.
    var isUndoable: Bool { self.before != nil && (self.state == .applied || self.state == .intended) }

    /// What became of it, if it is not simply in force.
    package var remark: String? { self.state == .applied ? nil : self.state.rawValue }

    /// Whether both are about the same route, or the same endpoint of the same upstream.
    func concerns(_ other: JournalEntry) -> Bool {
        self.subject == other.subject && self.before?.upstream == other.before?.upstream
    }
}

/// What an operator asks to be taken back.
package struct UndoRequest: Sendable, Equatable {
    package enum Target: Sendable, Equatable {
        case change(UInt64)
        case generation(UInt64)
    }

    package var target: Target
    package var reason: String
    package var ifMatch: [String] = []
    package var dryRun = false
    package var force = false
    /// Do what can be done where something does not exist any more.
    package var partial = false

    package init(_ target: Target, reason: String) {
        self.target = target
        self.reason = reason
    }
}

/// What an undo did, or would do.
package struct UndoOutcome: Sendable, Equatable, Codable {
    package struct RouteChange: Sendable, Equatable, Codable {
        package var route: String
        package var before: [UpstreamShare]
        package var after: [UpstreamShare]
    }

    package struct EndpointChange: Sendable, Equatable, Codable {
        package var upstream: String
        package var address: String
        package var before: String
        package var after: String
    }

    package var undoes: String
    /// In force after the call.
    package var generation: UInt64
    package var etag: String
    package var dryRun: Bool
    package var changed: Bool
    package var routes: [RouteChange]
    package var endpoints: [EndpointChange]
    /// What does not exist any more, and was left out.
    package var leftOut: [ControlProblem]
    /// What the guard has against it.
    package var objections: [ControlProblem]
    package var warnings: [String]
    /// Of those that are there, how many have it in force; nil: there are no others, or they were not asked.
    package var replicas: ReplicaCount?
}
