import CMongoC
import Synchronization

/// The driver's pool of clients to one deployment.
///
/// Every method blocks; ``MongoStore`` calls them on its own threads.
final class MongoConnection: Sendable {
    // The driver's pools are safe to use from any thread: clients are taken out and put back under its own lock.
    private nonisolated(unsafe) let pool: OpaquePointer
    let database: String
    /// The most clients that work on queries at a time. The pool has one more.
    let size: Int
    /// How long the server may work on one command, in milliseconds.
    private let commandTime: Int32

    /// Hosts and database: the same for two strings that name the same data.
    let source: String

    /// Each client is a thread here.
    static let largestPool = 512
    /// The most bytes of documents that one answer may hold: some million rewards, and far less than would end the process.
    static let largestAnswer = 256 << 20

    private static let initialized: Void = mongoc_init()

    /// Where the driver's log lines go.
    fileprivate struct LogSink {
        var send: (@Sendable (Bool, String) -> Void)?
        /// What no line and no message may repeat.
        var secrets: [String] = []
    }

    fileprivate static let logSink = Mutex(LogSink())

    /// Reads the connection string. Does not connect yet.
    ///
    /// - Parameter milliseconds: the limit for whatever the string itself sets no limit for: finding a server, connecting,
    ///   and silence of a connected one.
    /// - Throws: ``StoreError/unavailable(_:)`` with what is wrong with the string, which may hold a password and is not
    ///   repeated.
    init(uri text: String, milliseconds: Int32) throws(StoreError) {
        let uri = try Self.parse(text)
        defer { mongoc_uri_destroy(uri) }
        for option in ["serverselectiontimeoutms", "connecttimeoutms", "sockettimeoutms"]
        where !mongoc_uri_has_option(uri, option) {
            mongoc_uri_set_option_as_int32(uri, option, milliseconds)
        }
        // Enough to keep a few cores busy; a hundred, the driver's own default, would be a hundred threads here.
        let size = max(1, mongoc_uri_get_option_as_int32(uri, "maxpoolsize", 8))
        // One more, which only looks whether the server is there.
        mongoc_uri_set_option_as_int32(uri, "maxpoolsize", size + 1)
        // The driver's default when the string names no database.
        database = mongoc_uri_get_database(uri).map { String(cString: $0) } ?? "test"
        source = Self.hosts(of: uri).sorted().joined(separator: ",") + "/" + database
        var error = bson_error_t()
        guard let pool = mongoc_client_pool_new_with_error(uri, &error) else {
            throw .unavailable("the driver does not accept it: \(ConnectionString.withoutQuotes(Self.message(error)))")
        }
        mongoc_client_pool_set_error_api(pool, 2)
        if mongoc_uri_get_appname(uri) == nil { mongoc_client_pool_set_appname(pool, "gateway") }
        ReplyGuard.install(in: pool)
        self.pool = pool
        self.size = Int(size)
        commandTime = milliseconds
    }

    /// Whether the driver can make anything of a connection string. Asks nobody, no name server either.
    static func validate(_ text: String) throws(StoreError) {
        mongoc_uri_destroy(try parse(text))
    }

    private static func parse(_ text: String) throws(StoreError) -> OpaquePointer {
        _ = initialized
        let secrets = try ConnectionString(text).secrets
        // Before the driver reads the string: it warns of options by repeating them.
        logSink.withLock { sink in
            for secret in secrets where !sink.secrets.contains(secret) { sink.secrets.append(secret) }
        }
        var error = bson_error_t()
        guard let uri = mongoc_uri_new_with_error(text, &error) else {
            throw .unavailable("the driver does not accept it: \(ConnectionString.withoutQuotes(message(error)))")
        }
        guard mongoc_uri_get_option_as_int32(uri, "maxpoolsize", 1) <= largestPool else {
            mongoc_uri_destroy(uri)
            throw .unavailable("maxPoolSize is \(largestPool) at most")
        }
        return uri
    }

    private static func hosts(of uri: OpaquePointer) -> [String] {
        if let name = mongoc_uri_get_srv_hostname(uri) { return [String(cString: name)] }
        var hosts: [String] = []
        var next = mongoc_uri_get_hosts(uri)
        while let host = next {
            hosts.append(withUnsafeBytes(of: host.pointee.host_and_port) { Self.text(of: $0) })
            next = UnsafePointer(host.pointee.next)
        }
        return hosts
    }

    deinit {
        mongoc_client_pool_destroy(pool)
    }

    /// - Parameter deadline: when whoever asks stops waiting; nil for the connection's own limit alone.
    func find(_ query: Query, until deadline: ContinuousClock.Instant?) -> Result<DocumentBatch, StoreError> {
        milliseconds(until: deadline).flatMap { time in
            find(
                query.collection, filter: MongoCommand.filter(query.criteria),
                options: MongoCommand.options(query, milliseconds: time), until: deadline)
        }
    }

    /// Folds the documents of a query into a value while they come.
    ///
    /// - Parameter body: what it throws ends the reading and is the result.
    func reduce<Value>(
        _ query: Query, into initial: Value, until deadline: ContinuousClock.Instant?,
        _ body: (inout Value, Span<UInt8>) throws -> Void
    ) -> Result<Value, any Error> {
        var value = initial
        var failure: (any Error)?
        let end = milliseconds(until: deadline).flatMap { time in
            withCursor(
                query.collection, filter: MongoCommand.filter(query.criteria),
                options: MongoCommand.options(query, milliseconds: time)
            ) { cursor in
                Self.each(cursor, until: deadline) { document throws(StoreError) in
                    do {
                        try document.withDocument { try body(&value, $0) }
                    } catch {
                        failure = error
                        throw .failed("given up")
                    }
                }
            }
        }
        if let failure { return .failure(failure) }
        return end.map { value }.mapError { $0 }
    }

    /// How long the server may work on a command that begins now.
    func milliseconds(until deadline: ContinuousClock.Instant?) -> Result<Int32, StoreError> {
        guard let deadline else { return .success(commandTime) }
        let left = deadline - .now
        guard left > .zero else { return .failure(.timedOut) }
        let (seconds, attoseconds) = left.components
        let milliseconds = seconds.multipliedReportingOverflow(by: 1000)
        let time = milliseconds.overflow ? .max : milliseconds.partialValue &+ attoseconds / 1_000_000_000_000_000
        return .success(max(1, min(commandTime, Int32(clamping: time))))
    }

    /// Runs a find with a filter and options in BSON.
    func find(
        _ collection: Collection, filter: [UInt8], options: [UInt8], until deadline: ContinuousClock.Instant?
    ) -> Result<DocumentBatch, StoreError> {
        withCursor(collection, filter: filter, options: options) { Self.collect($0, until: deadline) }
    }

    /// Runs `body` with the cursor of a find, and destroys it after that.
    func withCursor<Value>(
        _ collection: Collection, filter: [UInt8], options: [UInt8],
        _ body: (OpaquePointer) -> Result<Value, StoreError>
    ) -> Result<Value, StoreError> {
        withCollection(collection.rawValue) { collection in
            Self.withDocument(filter) { filter in
                Self.withDocument(options) { options in
                    guard let cursor = mongoc_collection_find_with_opts(collection, filter, options, nil) else {
                        return .failure(.failed("no cursor"))
                    }
                    defer { mongoc_cursor_destroy(cursor) }
                    return body(cursor)
                }
            }
        }
    }

    /// How many documents there are, by the server's books.
    func count(_ collection: Collection) -> Result<Int, StoreError> {
        withCollection(collection.rawValue) { collection in
            var error = bson_error_t()
            let count = mongoc_collection_estimated_document_count(collection, nil, nil, nil, &error)
            return count < 0 ? .failure(Self.error(error)) : .success(Int(count))
        }
    }

    /// Those of `names` that no collection of the database has. Needs no more than the right to read them.
    ///
    /// The driver's own listing asks the primary alone; here the string's read preference chooses, as it does for queries.
    func missing(among names: [String]) -> Result<[String], StoreError> {
        withClient { client in
            Self.withDocument(MongoCommand.listing(of: names)) { command in
                var error = bson_error_t()
                guard let reply = bson_new() else { return .failure(.failed("no memory")) }
                defer { bson_destroy(reply) }
                guard
                    mongoc_client_command_simple(
                        client, database, command, mongoc_client_get_read_prefs(client), reply, &error)
                else { return .failure(Self.error(error)) }
                guard let data = bson_get_data(reply) else { return .success(names) }
                let length = Int(UnsafeRawPointer(data).loadUnaligned(as: Int32.self).littleEndian)
                do throws(BSONError) {
                    let found = try MongoCommand.names(inListing: UnsafeBufferPointer(start: data, count: length).span)
                    return .success(names.filter { !found.contains($0) })
                } catch {
                    return .failure(.malformed(error))
                }
            }
        }
    }

    /// Asks the server, chosen by the string's read preference, whether it is there.
    func ping() -> Result<Void, StoreError> {
        withClient { client in
            Self.withDocument(MongoCommand.ping) { command in
                var error = bson_error_t()
                let answered = mongoc_client_command_simple(
                    client, "admin", command, mongoc_client_get_read_prefs(client), nil, &error)
                return answered ? .success(()) : .failure(Self.error(error))
            }
        }
    }

    private func withClient<Value>(_ body: (OpaquePointer) -> Result<Value, StoreError>) -> Result<Value, StoreError> {
        guard let client = mongoc_client_pool_pop(pool) else { return .failure(.unavailable("no client")) }
        defer { mongoc_client_pool_push(pool, client) }
        return body(client)
    }

    func withCollection<Value>(
        _ name: String, _ body: (OpaquePointer) -> Result<Value, StoreError>
    ) -> Result<Value, StoreError> {
        withClient { client in
            guard let collection = mongoc_client_get_collection(client, database, name) else {
                return .failure(.unavailable("no collection"))
            }
            defer { mongoc_collection_destroy(collection) }
            return body(collection)
        }
    }

    static func withDocument<Value>(
        _ bytes: [UInt8], _ body: (OpaquePointer) -> Result<Value, StoreError>
    ) -> Result<Value, StoreError> {
        guard let document = bson_new_from_data(bytes, bytes.count) else {
            return .failure(.failed("a command is no BSON"))
        }
        defer { bson_destroy(document) }
        return body(document)
    }

    /// Reads a cursor to its end, or as many documents as `limit` says.
    ///
    /// - Parameters:
    ///   - deadline: see ``each(_:until:_:)``.
    ///   - largest: the most bytes of documents.
    static func collect(
        _ cursor: OpaquePointer, limit: Int = .max, until deadline: ContinuousClock.Instant? = nil,
        largest: Int = largestAnswer
    ) -> Result<DocumentBatch, StoreError> {
        var batch = DocumentBatch()
        var meter = MemoryMeter()
        return each(cursor, limit: limit, until: deadline) { document throws(StoreError) in
            guard batch.bytes.count + document.count <= largest else {
                throw .failed("an answer is longer than \(largest) bytes")
            }
            // Memory that grows is there twice for a while.
            guard meter.covers(2 * (batch.bytes.count + document.count)) else { throw .outOfMemory }
            do throws(BSONError) {
                try batch.append(document)
            } catch {
                throw .malformed(error)
            }
        }.map { batch }
    }

    /// Hands over a cursor's documents one after the other, each as it lies in what the driver received last.
    ///
    /// - Parameters:
    ///   - limit: the most documents to read.
    ///   - deadline: when to give up between two documents. The server counts only its own work, and an answer in many
    ///     batches would go on for nobody.
    ///   - body: what it throws ends the reading.
    static func each(
        _ cursor: OpaquePointer, limit: Int = .max, until deadline: ContinuousClock.Instant?,
        _ body: (UnsafeRawBufferPointer) throws(StoreError) -> Void
    ) -> Result<Void, StoreError> {
        var document: OpaquePointer?
        var count = 0
        var bytes = 0
        var meter = MemoryMeter(free: 256 * 1024)
        while count < limit, mongoc_cursor_next(cursor, &document) {
            if QueryDeadline.hasPassed(deadline) { return .failure(.timedOut) }
            guard let document, let data = bson_get_data(document) else { continue }
            // The driver has checked that the length, which stands first, fits what it received.
            let length = UnsafeRawPointer(data).loadUnaligned(as: Int32.self).littleEndian
            bytes += Int(length)
            if count == firstBatch - 1 { boundBatches(of: cursor, average: bytes / firstBatch) }
            // What the driver holds of it: a batch, and the bytes that it came in.
            guard meter.covers(2 * min(bytes, largestBatch)) else { return .failure(.outOfMemory) }
            do throws(StoreError) {
                try body(UnsafeRawBufferPointer(start: data, count: Int(length)))
            } catch {
                return .failure(error)
            }
            count += 1
        }
        var error = bson_error_t()
        return mongoc_cursor_error(cursor, &error) ? .failure(Self.error(error)) : .success(())
    }

    /// How many documents a server sends first when it is not asked for another number.
    private static let firstBatch = 101
    /// What a batch should not be much longer than, in bytes. A server's own bound is 16 MB, of which each client that
    /// reads holds two.
    private static let largestBatch = 4 << 20

    /// Asks for shorter batches where those that the server would send were long: it fills them up to its own bound.
    private static func boundBatches(of cursor: OpaquePointer, average: Int) {
        mongoc_cursor_set_batch_size(cursor, UInt32(clamping: max(16, largestBatch / max(1, average))))
    }
}

extension MongoConnection {
    /// Server error codes that mean a time limit passed: MaxTimeMSExpired, ExceededTimeLimit, NetworkTimeout.
    private static let timeoutCodes: Set<UInt32> = [50, 262, 89]
    /// Unauthorized and AuthenticationFailed.
    private static let accessCodes: Set<UInt32> = [13, 18]

    private static func error(_ error: bson_error_t) -> StoreError {
        switch error.domain {
        case MONGOC_ERROR_CLIENT.rawValue where error.code == MONGOC_ERROR_CLIENT_AUTHENTICATE.rawValue,
            MONGOC_ERROR_SERVER.rawValue where accessCodes.contains(error.code):
            return .unauthorized(message(error))
        case MONGOC_ERROR_SERVER_SELECTION.rawValue, MONGOC_ERROR_STREAM.rawValue, MONGOC_ERROR_CLIENT.rawValue:
            return .unavailable(message(error))
        case MONGOC_ERROR_SERVER.rawValue where timeoutCodes.contains(error.code):
            return .timedOut
        default:
            return .failed(message(error))
        }
    }

    private static func message(_ error: bson_error_t) -> String {
        withoutSecrets(withUnsafeBytes(of: error.message) { text(of: $0) })
    }

    private static func text(of buffer: UnsafeRawBufferPointer) -> String {
        String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self)
    }

    /// The text without any connection string's passwords.
    private static func withoutSecrets(_ text: String) -> String {
        logSink.withLock { $0.secrets }.reduce(text) { $0.replacing($1, with: "***") }
    }

    /// Sends the driver's own log lines to `sink` instead of standard error.
    ///
    /// - Parameter sink: gets whether the line is an error or a warning, and its text. Called on any thread.
    package static func redirectLog(to sink: @escaping @Sendable (_ isProblem: Bool, _ line: String) -> Void) {
        logSink.withLock { $0.send = sink }
        mongoc_log_set_handler(
            { level, domain, message, _ in
                let isProblem = level.rawValue <= MONGOC_LOG_LEVEL_WARNING.rawValue
                let line = [domain, message].compactMap { $0.map { String(cString: $0) } }.joined(separator: ": ")
                let send = MongoConnection.logSink.withLock { $0.send }
                send?(isProblem, MongoConnection.withoutSecrets(line))
            }, nil)
    }
}
