import CMongoC
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

    /// MongoDB 3.6, 6, 7 and 8 as they introduce themselves, and one that is too new for this driver to speak to, or too old.
    @Test(arguments: [(0...6, true), (0...17, true), (0...21, true), (0...25, true), (18...30, false), (0...5, false)])
    func whichServersTheDriverSpeaksTo(versions: ClosedRange<Int>, isSpokenTo: Bool) async throws {
        let server = try WireServer(versions: versions)
        let store = try MongoStore(uri: server.uri("otv"), deadline: .seconds(2))
        if isSpokenTo {
            try filled(server)
            try await store.check()
            #expect(try await store.find(Query(.validators)).count == 500)
            #expect(try await store.missing(among: ["validators", "nothing"]) == ["nothing"])
        } else {
            let (error, _) = await trouble { try await store.check() }
            guard case .failed(let details) = error else {
                return #expect(Bool(false), "\(String(describing: error))")
            }
            #expect(details.contains("wire version \(versions.lowerBound > 0 ? 18 : 5)"), "\(details)")
        }
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
        for _ in 0..<60 where found == 0 { found = (try? await store.find(Query(.validators)).count) ?? 0 }
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

    /// The driver by itself ends a batch where it stops being BSON, and the process where a document does not end. What is
    /// damaged must be an error, and must not spoil the next answer.
    @Test(arguments: [1, 2, 3, 4, 5, 6] as [Int32])
    func aDamagedBatchIsAnError(kind: Int32) async throws {
        let server = try WireServer()
        try filled(server)
        let store = try MongoStore(uri: server.uri("otv", "&retryReads=false"), deadline: .seconds(10))
        let join = NewestQuery(.validators, key: "n", values: (1...500).map { Scalar.number(Double($0)) }, by: "n")
        for way in 0..<3 {
            try server.command("testMalform", kind)
            let (error, _) = await trouble {
                switch way {
                case 0: _ = try await store.find(Query(.validators))
                case 1: _ = try await store.reduce(Query(.validators), into: 0) { count, _ in count += 1 }
                default: _ = try await store.newest([join])
                }
            }
            guard case .failed(let text) = error else { return #expect(Bool(false), "\(String(describing: error))") }
            #expect(text.contains("Invalid reply"))
            #expect(try await store.find(Query(.validators)).count == 500)
            #expect(try await store.newest([join]).first?.starts.contains(nil) == false)
        }
        await store.close()
    }

    /// Whatever single byte of a reply is another one: what the guard lets through, the driver's iterator reads to its end,
    /// and every document in it.
    @Test func whatTheGuardLetsThroughStopsNoDriver() throws {
        var writer = BSONWriter()
        writer.document { reply in
            reply.subdocument("cursor") { cursor in
                cursor.array("firstBatch", count: 3) { batch, index, key in
                    batch.subdocument(key) {
                        $0.number("n", Double(index)); $0.string("t", String(repeating: "t", count: 77))
                    }
                }
                cursor.bool("partial", false)
                cursor.string("ns", "otv.validators")
                cursor.int64("id", 7)
            }
            reply.double("ok", 1)
        }
        let isSound = ReplyGuard.isSound(writer.bytes.span)
        #expect(isSound)
        var passed = 0
        var refused = 0
        // The outermost frame is the driver's to check: its length, and the zero at its end. And any number may be a cursor's.
        let number = writer.bytes.indices.first { writer.bytes[$0...].starts(with: [0x12, 0x69, 0x64, 0, 7]) }
        let own = try #require(number) + 4
        for place in 4..<(writer.bytes.count - 1) where !(own..<(own + 8)).contains(place) {
            for value in UInt8.min...UInt8.max {
                var bytes = writer.bytes
                bytes[place] = value
                guard ReplyGuard.isSound(bytes.span) else {
                    refused += 1
                    continue
                }
                passed += 1
                #expect(Self.isReadByTheDriver(bytes), "byte \(place) is \(value)")
            }
        }
        #expect(passed > 100)
        #expect(refused > 100)
    }

    /// Does what the driver does with a reply, but says instead of ending the process. Replies without a cursor, or without
    /// one that is found, are errors that it notices.
    private static func isReadByTheDriver(_ bytes: [UInt8]) -> Bool {
        guard let reply = bson_new_from_data(bytes, bytes.count) else { return false }
        defer { bson_destroy(reply) }
        // The structs are aligned more strictly than the language can tell.
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 128)
        defer { memory.deallocate() }
        let (outer, cursor, batch) = (
            OpaquePointer(memory), OpaquePointer(memory + 1024), OpaquePointer(memory + 2048)
        )
        guard bson_iter_init_find(outer, reply, "cursor"), bson_iter_type(outer) == BSON_TYPE_DOCUMENT,
            bson_iter_recurse(outer, cursor)
        else { return true }
        var number: Int64 = 0
        while bson_iter_next(cursor) {
            let name = String(cString: bson_iter_key(cursor))
            if name == "id" { number = bson_iter_as_int64(cursor) }
            if name == "ns" {
                var length: UInt32 = 0
                // It goes on to take apart what it gets here, text or not.
                guard let text = bson_iter_utf8(cursor, &length) else { return false }
                let bytes = Array(UnsafeRawBufferPointer(start: text, count: Int(length)))
                guard let point = bytes.firstIndex(of: UInt8(ascii: ".")), point + 1 < bytes.count, !bytes.contains(0)
                else { return false }
            }
            guard name == "firstBatch" || name == "nextBatch", bson_iter_recurse(cursor, batch) else { continue }
            var count = 0
            while bson_iter_next(batch) {
                guard bson_iter_type(batch) == BSON_TYPE_DOCUMENT else { return false }
                var length: UInt32 = 0
                var data: UnsafePointer<UInt8>?
                bson_iter_document(batch, &length, &data)
                guard let data, length >= 5, data[Int(length) - 1] == 0 else { return false }
                count += 1
            }
            if count != 3 { return false }
        }
        return number == 7
    }

    /// The server dies while the last document of its first batch is looked at: the fold has seen that batch before the next
    /// one was asked for.
    @Test func aFoldTakesDocumentsAsTheyCome() async throws {
        let server = try WireServer()
        try filled(server)
        let store = try MongoStore(uri: server.uri("otv"), deadline: .seconds(1))
        let seen = Mutex(0)
        let (error, took) = await trouble {
            _ = try await store.reduce(Query(.validators), into: 0) { count, _ in
                count += 1
                seen.withLock { $0 = count }
                if count == 101 { server.stop() }
            }
        }
        #expect(error != nil)
        #expect(seen.withLock { $0 } == 101)
        #expect(took < slack)
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
        for number in 0..<4 {
            let (error, _) = await trouble {
                try await QueryDeadline.$current.withValue(late) {
                    switch number {
                    case 0: _ = try await store.find(Query(.validators))
                    case 1: _ = try await store.find([Query(.validators), Query(.candidates)])
                    case 2: _ = try await store.reduce(Query(.validators), into: 0) { count, _ in count += 1 }
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
                _ = try await store.reduce(Query(.validators), into: 0) { count, _ in count += 1 }
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

    /// What the string says of time goes before the store's deadline, which is far away here.
    @Test(arguments: ["serverSelectionTimeoutMS=200", "socketTimeoutMS=200"])
    func theStringsOwnLimitsHold(option: String) async throws {
        let server = try WireServer()
        try filled(server)
        if option.hasPrefix("socket") { try server.command("testDelay", 60_000) } else { server.stop() }
        let store = try MongoStore(uri: server.uri("otv", "&retryReads=false&" + option), deadline: .seconds(60))
        let (error, took) = await trouble { _ = try await store.find(Query(.validators)) }
        #expect(error != nil)
        #expect(took < slack)
        await store.close()
    }

    @Test func withoutADatabaseTheDriversOwnIsRead() async throws {
        let server = try WireServer()
        try MongoWriter(uri: server.uri("test")).insert(
            ExtendedJSON.batch(Self.documents), into: .validators, database: "test")
        for uri in ["mongodb://127.0.0.1:\(server.port)", "mongodb://127.0.0.1:\(server.port)/?maxPoolSize=1"] {
            let store = try MongoStore(uri: uri, deadline: .seconds(10))
            #expect(try await store.find(Query(.validators)).count == 500)
            await store.close()
        }
    }

    /// Two members that say so, with the same documents.
    private func replicaSet() throws -> [WireServer] {
        let members = [try WireServer(), try WireServer()]
        for member in members { try filled(member) }
        try elect(0, of: members)
        return members
    }

    private func elect(_ primary: Int, of members: [WireServer]) throws {
        let hosts = members.map { "127.0.0.1:\($0.port)" }
        for (place, member) in members.enumerated() where member.isRunning {
            try member.command { writer in
                writer.subdocument("testHello") { hello in
                    hello.string("setName", "rs0")
                    hello.int32("setVersion", 1)
                    hello.strings("hosts", hosts)
                    hello.string("me", hosts[place])
                    hello.string("primary", hosts[primary])
                    hello.bool("isWritablePrimary", place == primary)
                    hello.bool("ismaster", place == primary)
                    hello.bool("secondary", place != primary)
                }
            }
        }
    }

    private func set(_ members: [WireServer], _ options: String) -> String {
        "mongodb://127.0.0.1:\(members[0].port)/otv?tls=false&maxPoolSize=2&heartbeatFrequencyMS=500\(options)"
    }

    /// One member is named, the others are found; the string says which of them is read.
    @Test(arguments: [("", 0), ("&readPreference=secondary", 1), ("&readPreference=primaryPreferred", 0)])
    func aReplicaSetIsReadWhereTheStringSays(preference: String, place: Int) async throws {
        let members = try replicaSet()
        for member in members { _ = try member.documentsRead() }
        let store = try MongoStore(uri: set(members, "&replicaSet=rs0" + preference), deadline: .seconds(5))
        #expect(try await store.find(Query(.validators)).count == 500)
        #expect(
            try await store.newest([NewestQuery(.validators, key: "n", values: [.number(7)], by: "n")]).first?.starts
                == [0])
        #expect(try members[place].documentsRead() == 501)
        #expect(try members[1 - place].documentsRead() == 0)
        await store.close()
    }

    @Test func aReplicaSetOfAnotherNameIsNotRead() async throws {
        let members = try replicaSet()
        let store = try MongoStore(uri: set(members, "&replicaSet=rs1"), deadline: .seconds(1))
        let (error, took) = await trouble { _ = try await store.find(Query(.validators)) }
        #expect(error?.reason == "unreachable")
        #expect(took < slack)
        await store.close()
    }

    /// The primary dies; when the other member has taken over it is read, without anything being told to the store.
    @Test func anotherPrimaryIsFound() async throws {
        let members = try replicaSet()
        let store = try MongoStore(uri: set(members, "&replicaSet=rs0"), deadline: .seconds(1))
        #expect(try await store.find(Query(.validators)).count == 500)
        members[0].stop()
        let (error, took) = await trouble { _ = try await store.find(Query(.validators)) }
        #expect(error?.reason == "unreachable")
        #expect(took < slack)
        try elect(1, of: members)
        var found = 0
        for _ in 0..<60 where found == 0 { found = (try? await store.find(Query(.validators)).count) ?? 0 }
        #expect(found == 500)
        await store.close()
    }

    /// As deployments have it: a user of the database itself, and a password that has to be escaped.
    @Test func aUserIsLetIn() async throws {
        let server = try WireServer()
        try filled(server)
        try server.command { writer in
            writer.subdocument("testUser") { user in
                user.string("name", "gateway")
                user.string("password", "p@ss:w/rd%")
                user.string("source", "otv")
            }
        }
        let hosts = "127.0.0.1:\(server.port)"
        let store = try MongoStore(uri: "mongodb://gateway:p%40ss%3Aw%2Frd%25@\(hosts)/otv", deadline: .seconds(10))
        try await store.check()
        #expect(try await store.find(Query(.validators)).count == 500)
        await store.close()
        for uri in [
            "mongodb://gateway:other@\(hosts)/otv",
            "mongodb://gateway:p%40ss%3Aw%2Frd%25@\(hosts)/otv?authSource=admin",
            "mongodb://\(hosts)/otv",
        ] {
            let store = try MongoStore(uri: uri, deadline: .seconds(10))
            let (error, _) = await trouble { _ = try await store.find(Query(.validators)) }
            #expect(error?.reason == "authentication failed", "\(uri)")
            await store.close()
        }
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
        do {
            _ = try MongoStore(uri: uri, deadline: .seconds(2))
            Issue.record("accepted")
        } catch {
            #expect("\(error)".contains("write @ as %40"))
            #expect(!"\(error)".contains("hunter2"))
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
