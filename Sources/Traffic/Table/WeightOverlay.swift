/// Weights that an operator set over those of the file. They survive reloads until the file itself says something else
/// about their route: then the file's author knew better.
package struct WeightOverlay: Sendable, Equatable {
    private struct Entry: Sendable, Equatable {
        var weights: [String: UInt32]
        /// The file's weights that these were set over.
        var fileWeights: [String: UInt32]
    }

    private var entries: [String: Entry] = [:]

    package init() {}

    package var isEmpty: Bool { self.entries.isEmpty }

    /// `weights` and `fileWeights` by upstream name. An upstream that `weights` leaves out keeps the file's weight.
    package mutating func set(route: String, weights: [String: UInt32], fileWeights: [String: UInt32]) {
        self.entries[route] = Entry(weights: weights, fileWeights: fileWeights)
    }

    /// Lays the live weights over `spec`, which is as the file says. Entries that the file has overtaken are dropped:
    /// their route is gone or has no split, its weights are not those that they were set over, or an upstream that they
    /// name is no longer part of it.
    package mutating func apply(to spec: inout TableSpec) {
        var kept: [String: Entry] = [:]
        for index in spec.routes.indices {
            guard case .split(var split) = spec.routes[index].action,
                let entry = self.entries[spec.routes[index].name]
            else { continue }
            let fileWeights = Dictionary(
                split.map { ($0.upstream, $0.weight) }, uniquingKeysWith: { first, _ in first })
            guard fileWeights == entry.fileWeights, entry.weights.keys.allSatisfy({ fileWeights[$0] != nil }) else {
                continue
            }
            for member in split.indices {
                if let weight = entry.weights[split[member].upstream] { split[member].weight = weight }
            }
            spec.routes[index].action = .split(split)
            kept[spec.routes[index].name] = entry
        }
        self.entries = kept
    }
}
