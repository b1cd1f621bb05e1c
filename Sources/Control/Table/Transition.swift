import Migration
import Traffic

/// What a change did to the state, and so what is left to do in the world: publish a table, tell endpoints, write it down.
package struct Transition: Sendable, Equatable {
    /// What the journal is told.
    package struct Note: Sendable, Equatable {
        package var what: JournalEntry.What
        package var subject: String
        package var detail: String
        package var reason = ""
        package var before: Position?
        package var after: Position?
        /// The numbers behind it, as JSON.
        package var evidence: String?
        package var forced = false
    }

    /// A route's weights before and after, also where they are the same.
    package struct Reweighting: Sendable, Equatable {
        package var route: String
        package var failover: Bool
        package var reserve: [String] = []
        package var before: [SplitEntry]
        package var after: [SplitEntry]
    }

    package struct Setting: Sendable, Equatable {
        package var endpoint: EndpointKey
        package var state: Administrative
    }

    package var generationBefore: UInt64
    package var generationAfter: UInt64
    /// Which endpoints there are may have changed.
    package var movesEndpoints = false
    package var reweightings: [Reweighting] = []
    /// The one of a change that concerns one route.
    package var reweighting: Reweighting? { self.reweightings.first }
    /// States that endpoints are to be given.
    package var settings: [Setting] = []
    /// Endpoints that are new to an upstream in force: they take nothing before a probe has passed, if there are probes,
    /// and begin with slow start.
    package var joining: [EndpointKey] = []
    /// What an undo asks for and cannot have, because there is no such thing any more.
    package var missing: [ControlProblem] = []
    /// Upstreams that an administrative change concerns.
    package var upstreams: [String] = []
    package var notes: [Note] = []
    /// What people are to be told of a plan.
    package var tellings: [PlanAction.Word] = []

    /// Whether a new table is to be published.
    package var publishes: Bool { self.generationAfter != self.generationBefore }
}
