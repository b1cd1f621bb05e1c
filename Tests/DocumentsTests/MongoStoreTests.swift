import Foundation
import Synchronization
import Testing

@testable import Documents

/// What the driver does when the server does not do what it should.
@Suite("MongoDB store in trouble", .enabled(if: WireServer.isAvailable, "needs the wire server; run with-wire-server"))
struct MongoStoreTests {
    init() {
        // Servers go down on purpose here; what the driver says of it on standard error helps nobody.
        MongoStore.redirectLog { _, _ in }
    }

    /// Far above the deadlines below, as the machine may be busy, and far below the driver's own 30 s.
    private let slack = Duration.seconds(15)
    private static let documents = (1...500).map { #"{"n":\#($0)}"# }

    private func filled(_ server: WireServer) throws {
        try MongoWriter(uri: server.uri("otv")).insert(
            ExtendedJSON.batch(Self.documents), into: .validators, database: "otv")
    }

    /// What `body` throws, and how long it took to throw it.
    private func trouble(_ body: () async throws -> Void) async -> (error: StoreError?, took: Duration) {
        let start = ContinuousClock.now
        do {
            try await body()
            return (nil, .now - start)
        } catch {
            return (error as? StoreError, .now - start)
        }
    }

    @Test func aServerThatIsNotThereFailsWithinTheDeadline() async throws {
        // Port 9 (discard) is never listened on here; any closed port does.
        let store = try MongoStore(uri: "mongodb://127.0.0.1:9/otv", deadline: .milliseconds(300))
        let (error, took) = await trouble { _ = try await store.find(Query(.validators)) }
        guard case .unavailable = error else { return #expect(Bool(false), "\(String(describing: error))") }
        #expect(took < slack)
        let check = await trouble { try await store.check() }
        #expect(check.error != nil)
        await store.close()
    }

    @Test func aServerThatComesBackIsUsedAgain() async throws {
        let server = try WireServer()
        try filled(server)
        let store = try MongoStore(uri: server.uri("otv"), deadline: .seconds(1))
        #expect(try await store.find(Query(.validators)).count == 500)
        server.stop()
        let (error, took) = await trouble { _ = try await store.find(Query(.validators)) }
        #expect(error != nil)
        #expect(took < slack)
        let second = try WireServer(port: server.port)
        try filled(second)
        // The driver looks for the server at least every half second while it is asked.
        var found = 0
        for _ in 0..<20 where found == 0 { found = (try? await store.find(Query(.validators)).count) ?? 0 }
        #expect(found == 500)
        await store.close()
    }

    /// The second batch never comes. An answer cut short must not pass for a whole one.
    @Test func aServerThatDiesBetweenBatchesIsAnError() async throws {
        let server = try WireServer()
        try filled(server)
        try server.command("testDieAfter", 2)
        let store = try MongoStore(uri: server.uri("otv"), deadline: .seconds(1))
        let (error, took) = await trouble { _ = try await store.find(Query(.validators)) }
        #expect(error != nil)
        #expect(took < slack)
        await store.close()
    }

    @Test func aSlowServerIsCutOff() async throws {
        let server = try WireServer()
        try filled(server)
        try server.command("testDelay", 20_000)
        let store = try MongoStore(uri: server.uri("otv"), deadline: .milliseconds(300))
        let (error, took) = await trouble { _ = try await store.find(Query(.validators)) }
        #expect(error != nil)
        #expect(took < slack)
        await store.close()
    }

    /// The driver ends a batch where it stops being BSON. It must not pass for the whole answer, nor spoil the next one.
    @Test func aReplyOfBrokenDocumentsIsNotMistakenForAnAnswer() async throws {
        let server = try WireServer()
        try filled(server)
        try server.command("testMalform", 1)
        let store = try MongoStore(uri: server.uri("otv", "&retryReads=false"), deadline: .seconds(1))
        var count = 0
        let (error, _) = await trouble { count = try await store.find(Query(.validators)).count }
        #expect(error != nil || count < 500)
        #expect(try await store.find(Query(.validators)).count == 500)
        await store.close()
    }

    @Test func aQueryWhoseTimeIsUpIsNotAsked() async throws {
        let server = try WireServer()
        try filled(server)
        let store = try MongoStore(uri: server.uri("otv"), deadline: .seconds(10))
        #expect(store.use?.capacity == 2)
        _ = try server.documentsRead()
        let late = ContinuousClock.now - .seconds(1)
        let join = NewestQuery(.validatorScores, key: "address", values: [.null], by: "session", hasLongHistory: true)
        for number in 0..<3 {
            let (error, _) = await trouble {
                try await QueryDeadline.$current.withValue(late) {
                    switch number {
                    case 0: _ = try await store.find(Query(.validators))
                    case 1: _ = try await store.find([Query(.validators), Query(.candidates)])
                    default: _ = try await store.newest([join])
                    }
                }
            }
            #expect(error == .timedOut)
        }
        #expect(try server.documentsRead() == 0)
        let found = try await QueryDeadline.$current.withValue(.now + .seconds(60)) {
            try await store.find(Query(.validators))
        }
        #expect(found.count == 500)
        await store.close()
    }

    /// Five batches, each in time by itself: what comes too late is not waited for, and its cursor is closed.
    @Test func anAnswerInManyBatchesIsGivenUpInBetween() async throws {
        let server = try WireServer()
        try filled(server)
        try server.command("testDelay", 200)
        let store = try MongoStore(uri: server.uri("otv"), deadline: .seconds(10))
        let (error, _) = await trouble {
            try await QueryDeadline.$current.withValue(.now + .milliseconds(300)) {
                _ = try await store.find(Query(.validators))
            }
        }
        #expect(error == .timedOut)
        // The server is told without an answer being awaited.
        for _ in 0..<100 where try server.openCursors() > 0 {}
        #expect(try server.openCursors() == 0)
        await store.close()
    }

    @Test func anAnswerBeyondTheBoundIsRefused() throws {
        let server = try WireServer()
        try filled(server)
        let connection = try MongoConnection(uri: server.uri("otv"), milliseconds: 10_000)
        func find(largest: Int) -> Result<Int, StoreError> {
            connection.withCursor(
                .validators, filter: MongoCommand.filter([]), options: MongoCommand.filter([])
            ) { MongoConnection.collect($0, largest: largest).map(\.count) }
        }
        // A length, an ObjectId with its name, a number with its name, and the end: 4 + 17 + 7 + 1 bytes.
        #expect(find(largest: 500 * 29) == .success(500))
        #expect(find(largest: 500 * 29 - 1) == .failure(.failed("an answer is longer than 14499 bytes")))
    }

    /// Twenty times the history, and not one document more is read, as long as the values have newest documents.
    @Test(arguments: [10, 200])
    func aJoinDoesNotReadHistory(sessions: Int) async throws {
        let server = try WireServer()
        let addresses = (0..<50).map { "validator-\($0)" }
        let documents = (1...sessions).flatMap { session in
            addresses.map { #"{"address":"\#($0)","session":\#(session)}"# }
        }
        try MongoWriter(uri: server.uri("otv")).insert(
            ExtendedJSON.batch(documents), into: .validatorScores, database: "otv")
        let store = try MongoStore(uri: server.uri("otv"), deadline: .seconds(10))
        let query = NewestQuery(
            .validatorScores, key: "address", values: addresses.map { .string($0) }, by: "session",
            hasLongHistory: true)
        _ = try server.documentsRead()
        let answer = try await store.newest([query])
        #expect(answer.first?.starts.contains(nil) == false)
        // Two sessions and the boundary between them.
        #expect(try server.documentsRead() == 101)
        await store.close()
    }

    @Test func wrongCredentialsFailAndAreNotRepeated() async throws {
        let server = try WireServer.shared.get()
        let uri = "mongodb://someone:hunter2@127.0.0.1:\(server.port)/otv"
        let store = try MongoStore(uri: uri, deadline: .milliseconds(500))
        let (error, _) = await trouble { _ = try await store.find(Query(.validators)) }
        let text = try #require(error.map { "\($0)" })
        #expect(!text.contains("hunter2"))
        #expect(error?.reason == "authentication failed")
        await store.close()
    }

    @Test(arguments: [
        ("mongodb://u:hunter2@host/otv", "mongodb://host/otv"),
        (
            "mongodb://u:hunter2@h1:1,h2.x:2/?replicaSet=rs0&tlsCertificateKeyFilePassword=hunter2",
            "mongodb://h1:1,h2.x:2/"
        ),
        ("mongodb+srv://u@cluster.example", "mongodb+srv://cluster.example"),
        ("mongodb://[::1]:27017/otv?authMechanismProperties=AWS_SESSION_TOKEN:hunter2", "mongodb://[::1]:27017/otv"),
    ])
    func whatIsToldOfAConnectionString(uri: String, description: String) throws {
        #expect(try ConnectionString(uri).description == description)
    }

    /// A password that is not escaped makes the driver see other parts than were meant, and its messages repeat them.
    @Test(arguments: [
        "mongodb://u:hunter2:more@host/otv", "mongodb://u:hun@hunter2@host/otv", "mongodb://u:12/hunter2@host/otv",
        "mongodb://u:hunter2?x=1@host/otv", "mongodb://u:hunter2#@host:port/otv", "mongodb://u:%hunter2@host/otv",
        "mongodb://host/?tlsCertificateKeyFilePassword=a@hunter2", "mongodb://u:p@s?hunter2@host/otv",
    ])
    func connectionStringsWithoutEscapesAreRefusedAndNotRepeated(uri: String) {
        let lines = Mutex<[String]>([])
        MongoStore.redirectLog { _, line in lines.withLock { $0.append(line) } }
        #expect(throws: StoreError.unavailable(ConnectionString.malformed)) {
            _ = try MongoStore(uri: uri, deadline: .seconds(2))
        }
        MongoStore.redirectLog { _, _ in }
        #expect(!lines.withLock { $0 }.contains { $0.contains("hunter2") })
    }

    @Test func theDriversOwnLinesDoNotRepeatSecrets() async throws {
        let lines = Mutex<[String]>([])
        MongoStore.redirectLog { _, line in lines.withLock { $0.append(line) } }
        // The driver warns of an option that it does not know, by its name.
        let store = try MongoStore(uri: "mongodb://u:hunter2@127.0.0.1:9/?hunter2=1", deadline: .milliseconds(300))
        _ = await trouble { try await store.check() }
        await store.close()
        MongoStore.redirectLog { _, _ in }
        let written = lines.withLock { $0 }
        #expect(written.contains { $0.contains("***") })
        #expect(!written.contains { $0.contains("hunter2") })
    }

    @Test func aLargePoolIsHonouredOrRefused() async throws {
        let store = try MongoStore(uri: "mongodb://127.0.0.1:9/?maxPoolSize=100", deadline: .seconds(1))
        #expect(store.use?.capacity == 100)
        await store.close()
        #expect(throws: StoreError.unavailable("maxPoolSize is 512 at most")) {
            _ = try MongoStore(uri: "mongodb://127.0.0.1:9/?maxPoolSize=513", deadline: .seconds(1))
        }
    }

    /// Whoever asks waits for the whole deadline; the driver gives up before, and so can say why.
    @Test func theDriverGivesUpBeforeTheDeadline() async throws {
        let store = try MongoStore(uri: "mongodb://127.0.0.1:9/otv", deadline: .seconds(3))
        let (error, took) = await trouble { try await store.check() }
        #expect(error?.reason == "unreachable")
        #expect(took < .seconds(3))
        await store.close()
    }

    @Test(arguments: [
        "mongodb://user:p%40ss@host/otv?tls=false",
        "mongodb://h1,h2:27018/otv?replicaSet=rs0&readPreference=secondaryPreferred",
        "mongodb://host/?tls=true&tlsAllowInvalidCertificates=true",
        "mongodb://host/otv?serverSelectionTimeoutMS=50&maxPoolSize=3",
    ])
    func connectionStringsOfDeployments(uri: String) async throws {
        await (try MongoStore(uri: uri, deadline: .seconds(2))).close()
    }

    @Test(arguments: ["mongodb://", "mongodb://host:notaport/", "http://host/", "mongodb://user:secret@host:99999999/"])
    func malformedConnectionStrings(uri: String) {
        #expect {
            _ = try MongoStore(uri: uri, deadline: .seconds(2))
        } throws: { error in
            !"\(error)".contains("secret")
        }
    }

    @Test func aClosedStoreRefusesAndClosesOnce() async throws {
        let store = try MongoStore(uri: try WireServer.shared.get().uri("otv"), deadline: .seconds(1))
        await store.close()
        await store.close()
        let (error, _) = await trouble { _ = try await store.find(Query(.validators)) }
        #expect(error == .unavailable("the store is closed"))
    }

    @Test func moreQueriesThanClientsWaitTheirTurn() async throws {
        let server = try WireServer()
        try filled(server)
        let store = try MongoStore(uri: server.uri("otv"), deadline: .seconds(10))
        let counts = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<20 { group.addTask { try await store.find(Query(.validators)).count } }
            return try await group.reduce(into: [Int]()) { $0.append($1) }
        }
        #expect(counts == Array(repeating: 500, count: 20))
        await store.close()
    }
}
