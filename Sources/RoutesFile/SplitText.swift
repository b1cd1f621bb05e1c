import JSONText
import Traffic

/// The text of a file with other weights for one route: nothing but their digits differs.
package enum SplitText {
    /// Why it cannot be.
    package struct Unfit: Error, Sendable, Equatable {
        package var reason: String
    }

    /// `bytes` is a file that `RoutesFile.parse` takes. `weights` are those of every side.
    package static func replacing(
        _ weights: [String: UInt32], ofRoute route: String, in bytes: [UInt8]
    ) throws(Unfit) -> [UInt8] {
        let configuration = try Self.parse(bytes)
        guard let index = configuration.table.routes.firstIndex(where: { $0.name == route }),
            let split = configuration.table.routes[index].split
        else { throw Unfit(reason: "the file has no route \"\(route)\" with a split") }
        guard Set(split.map(\.upstream)) == Set(weights.keys) else {
            throw Unfit(reason: "the file's route \"\(route)\" has other sides")
        }
        var text = bytes
        let places = split.compactMap { entry in
            JSONPlace.range(
                of: [.member("routes"), .element(index), .member("split"), .member(entry.upstream)], in: bytes
            ).map {
                (
                    range: $0, weight: weights[entry.upstream] ?? entry.weight,
                    isSame: weights[entry.upstream] == entry.weight
                )
            }
        }
        guard places.count == split.count else {
            throw Unfit(reason: "the weights of route \"\(route)\" are not found in the file's text")
        }
        // From the end, so that what comes before stays where it is.
        for place in places.sorted(by: { $0.range.lowerBound > $1.range.lowerBound }) where !place.isSame {
            text.replaceSubrange(place.range, with: "\(place.weight)".utf8)
        }
        // What was meant, and nothing else.
        let result = try Self.parse(text)
        var wanted = configuration
        let entries = split.map { SplitEntry(upstream: $0.upstream, weight: weights[$0.upstream] ?? $0.weight) }
        wanted.table.routes[index].action = .split(entries)
        guard result == wanted else { throw Unfit(reason: "the file would say something else than was meant") }
        return text
    }

    private static func parse(_ bytes: [UInt8]) throws(Unfit) -> BalancerConfiguration {
        do throws(ConfigurationRejected) {
            return try RoutesFile.parse(bytes)
        } catch {
            let first = error.problems.first.map { "\($0.path): \($0.message)" } ?? "it is not understood"
            throw Unfit(reason: "the file is not good: \(first)")
        }
    }
}
