import ArgumentParser
import Documents
import FoundationEssentials

struct ImportCandidatesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import-candidates",
        abstract: "Make a SQLite file from the programme's public candidates file.",
        discussion: """
            The file tells who the candidates are and nothing of how they do. Alone, it gives candidates as they are right \
            after the core process started; with --with-sample-history everything else is invented around them.
            """)

    @Argument(help: "The candidates file: a JSON object with an array `candidates`.")
    var file: String

    @Option(help: "File to make; it must not exist yet.")
    var to: String

    @Option(help: "kusama or polkadot; told by the addresses when not given.")
    var network: SampleNetwork?

    @Flag(help: "Invent scores, stakes, locations and the rest for these candidates.")
    var withSampleHistory = false

    @Option(help: "Seed of what is invented.")
    var seed: UInt64 = 1

    func run() throws {
        guard let text = FileManager.default.contents(atPath: file) else {
            throw ValidationError("\(file) cannot be read")
        }
        let candidates: [SampleCandidate]
        do {
            candidates = try CandidatesFile.parse(Array(text))
        } catch let problem as CandidatesFile.Problem {
            throw ValidationError("\(file): \(problem.path): \(problem.message)")
        } catch let error as JSONSyntaxError {
            throw ValidationError("\(file): \(error.message) at byte \(error.offset)")
        }
        let network = network ?? candidates.first.map { SampleNetwork.of(address: $0.stash) } ?? .kusama
        let data = SampleData(seed: seed, network: network, candidates: candidates)
        try NewStoreFile(path: to).fill(withSampleHistory ? data.documents() : data.facts())
    }
}
