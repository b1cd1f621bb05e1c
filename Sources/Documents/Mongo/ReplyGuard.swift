import CMongoC

/// Stands between the driver and the replies that carry documents.
///
/// The driver takes a batch for ended where it stops being BSON, so that what follows is missing from an answer that looks
/// whole, and ends the process when a document in a batch does not end where its length says, or when a namespace is none.
/// Here a reply's cursor is walked before the driver does, and a reply that is damaged is emptied: the driver then says that
/// the reply is invalid, which is the error that it should have been. Of a first batch it forgets the cursor, which the server
/// closes in time.
///
/// What stands outside the cursor is the driver's own to check.
enum ReplyGuard {
    /// Has the clients of a pool show every reply to the guard. To be called before the first client is taken.
    static func install(in pool: OpaquePointer) {
        let callbacks = mongoc_apm_callbacks_new()
        defer { mongoc_apm_callbacks_destroy(callbacks) }
        mongoc_apm_set_command_succeeded_cb(callbacks) { event in
            guard let reply = mongoc_apm_command_succeeded_get_reply(event), let data = bson_get_data(reply) else {
                return
            }
            // A bson_t begins with its flags and the number of bytes that are there. What they say themselves, in their
            // first four, need not be the same.
            let count = Int(UnsafeRawPointer(reply).load(fromByteOffset: 4, as: UInt32.self))
            // The driver's own copy of what it received, which it goes on to read. It lends it for reading; but what must
            // not be read is better empty.
            if !ReplyGuard.isSound(UnsafeBufferPointer(start: data, count: count).span) { bson_reinit(reply) }
        }
        mongoc_client_pool_set_apm_callbacks(pool, callbacks, nil)
    }

    /// Whether a reply has no cursor, or one that the driver understands to its end: with a number, a batch that consists of
    /// documents, one after the other, and no namespace that is none.
    static func isSound(_ reply: Span<UInt8>) -> Bool {
        do throws(BSONError) {
            guard try reply.documentLength(at: 0) == reply.count else { return false }
            guard let cursor = try reply.element("cursor", inDocument: 0), cursor.type == .document else { return true }
            var hasNumber = false
            var hasBatch = false
            var fields = try BSONScanner(document: cursor.value.lowerBound, in: reply)
            while let field = try fields.next(in: reply) {
                if reply.name(of: field, equals: "id") {
                    // Of another type it would be read as another number, zero perhaps: no further batch.
                    guard field.type == .int64 else { return false }
                    hasNumber = true
                } else if reply.name(of: field, equals: "ns") {
                    guard isNamespace(field, in: reply) else { return false }
                } else if reply.name(of: field, equals: "firstBatch") || reply.name(of: field, equals: "nextBatch") {
                    guard try isBatch(field, in: reply) else { return false }
                    hasBatch = true
                } else if !stopsNobody(field, in: reply) {
                    return false
                }
            }
            return hasNumber && hasBatch
        } catch {
            return false
        }
    }

    /// An array of documents and of nothing else.
    ///
    /// A document may claim the next one's bytes: then it has an end within. Where each item's name is its place, only the
    /// last one has to be looked through for that, since any other would leave a gap.
    private static func isBatch(_ field: BSONElement, in reply: Span<UInt8>) throws(BSONError) -> Bool {
        guard field.type == .array else { return false }
        var items = try BSONScanner(document: field.value.lowerBound, in: reply)
        var place = 0
        var isNumbered = true
        var last: BSONElement?
        while let item = try items.next(in: reply) {
            guard item.type == .document else { return false }
            if isNumbered { isNumbered = reply.decimal(item.name) == place }
            if !isNumbered, let last { try lookThrough(last, in: reply) }
            place += 1
            last = item
        }
        if let last { try lookThrough(last, in: reply) }
        return true
    }

    private static func lookThrough(_ document: BSONElement, in reply: Span<UInt8>) throws(BSONError) {
        var fields = try BSONScanner(document: document.value.lowerBound, in: reply)
        while try fields.next(in: reply) != nil {}
    }

    /// Text of a database, a point, and something after it.
    private static func isNamespace(_ field: BSONElement, in reply: Span<UInt8>) -> Bool {
        guard field.type == .string, stopsNobody(field, in: reply), let text = reply.textRange(of: field) else {
            return false
        }
        var point: Int?
        for index in text {
            if reply[index] == 0 { return false }
            if reply[index] == UInt8(ascii: "."), point == nil { point = index }
        }
        return point.map { $0 + 1 < text.upperBound } ?? false
    }

    /// Whether the driver reads on after this field: it stops at texts without an end, at booleans that are neither, and at
    /// lengths within lengths, which are not looked at here.
    private static func stopsNobody(_ field: BSONElement, in reply: Span<UInt8>) -> Bool {
        switch field.type {
        case .string, .code, .symbol: reply[field.value.upperBound - 1] == 0
        case .bool: reply[field.value.lowerBound] <= 1
        case .binary, .dbPointer, .codeWithScope: false
        default: true
        }
    }
}

extension Span<UInt8> {
    /// The number that decimal digits say; nil for anything else, and for what no array's place needs.
    fileprivate func decimal(_ range: Range<Int>) -> Int? {
        guard (1...10).contains(range.count) else { return nil }
        var value = 0
        for index in range {
            guard (0x30...0x39).contains(self[index]) else { return nil }
            value = value * 10 + Int(self[index] - 0x30)
        }
        return value
    }
}
