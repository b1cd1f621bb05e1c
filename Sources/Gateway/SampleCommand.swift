import ArgumentParser
import Documents
import FoundationEssentials
import GatewayService

struct SampleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sample", abstract: "Write the sample data set to a SQLite file that `serve` can use.")

    @Option(help: "File to make; it must not exist yet.")
    var to: String

    @Option(help: "The same seed gives the same documents.")
    var seed: UInt64 = 1

    @Option(help: "kusama or polkadot.")
    var network: SampleNetwork = .kusama

    @Flag(help: "As many documents per collection as production holds of a few days.")
    var realistic = false

    func run() throws {
        let data = SampleData(seed: seed, network: network, shape: realistic ? .realistic : SampleData.Shape())
        try NewStoreFile(path: to).fill(data.documents())
    }
}

/// A SQLite file that a command makes and fills.
struct NewStoreFile {
    let path: String

    func fill(_ batches: [(collection: Collection, documents: DocumentBatch)]) throws {
        guard !FileManager.default.fileExists(atPath: path) else {
            throw ValidationError("\(path) exists already; remove it or choose another file")
        }
        do {
            let store = try EmbeddedStore(writing: path)
            try store.insert(batches)
        } catch {
            // A half-filled file would be served as if it were whole.
            try? FileManager.default.removeItem(atPath: path)
            throw error
        }
        for (collection, documents) in batches where !documents.isEmpty {
            PlainOutput.line("\(collection.rawValue): \(documents.count)")
        }
    }
}

extension SampleNetwork: ExpressibleByArgument {}
