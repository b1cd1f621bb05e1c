import CMongoC

/// Stands between the driver and the replies that carry documents.
///
/// The driver takes a batch for ended where it stops being BSON, so that what follows is missing from an answer that looks
/// whole, and ends the process when a document in a batch does not end where its length says. Here a batch is walked before
/// the driver does, and a reply that is damaged is emptied: the driver then says that the reply is invalid, which is the
/// error that it should have been.
enum ReplyGuard {
    /// Has the clients of a pool show every reply to the guard. To be called before the first client is taken.
    static func install(in pool: OpaquePointer) {
        let callbacks = mongoc_apm_callbacks_new()
        defer { mongoc_apm_callbacks_destroy(callbacks) }
        mongoc_apm_set_command_succeeded_cb(callbacks) { event in
            guard let reply = mongoc_apm_command_succeeded_get_reply(event), let data = bson_get_data(reply) else {
                return
            }
            // The driver has checked that the length, which stands first, fits what it received.
            let length = UnsafeRawPointer(data).loadUnaligned(as: Int32.self).littleEndian
            let bytes = UnsafeBufferPointer(start: data, count: Int(length)).span
            // The driver's own copy of what it received, which it goes on to read. It lends it for reading; but what must
            // not be read is better empty.
            if !ReplyGuard.isSound(bytes) { bson_reinit(reply) }
        }
        mongoc_client_pool_set_apm_callbacks(pool, callbacks, nil)
    }

    /// Whether a reply has no cursor, or one that the driver understands to its end: with a number, and a batch that
    /// consists of documents.
    static func isSound(_ reply: Span<UInt8>) -> Bool {
        do throws(BSONError) {
            guard let cursor = try reply.element("cursor", inDocument: 0), cursor.type == .document else { return true }
            var hasNumber = false
            var hasBatch = false
            var fields = try BSONScanner(document: cursor.value.lowerBound, in: reply)
            while let field = try fields.next(in: reply) {
                if reply.name(of: field, equals: "id") {
                    hasNumber = field.type == .int64 || field.type == .int32 || field.type == .double
                } else if reply.name(of: field, equals: "firstBatch") || reply.name(of: field, equals: "nextBatch") {
                    hasBatch = try isBatch(field, in: reply)
                    if !hasBatch { return false }
                } else if !stopsNobody(field, in: reply) {
                    return false
                }
            }
            return hasNumber && hasBatch
        } catch {
            return false
        }
    }

    private static func isBatch(_ field: BSONElement, in reply: Span<UInt8>) throws(BSONError) -> Bool {
        guard field.type == .array else { return false }
        var items = try BSONScanner(document: field.value.lowerBound, in: reply)
        while let item = try items.next(in: reply) {
            if item.type != .document { return false }
        }
        return true
    }

    /// Whether the driver reads on after this field: it stops at texts without an end and at booleans that are neither.
    private static func stopsNobody(_ field: BSONElement, in reply: Span<UInt8>) -> Bool {
        switch field.type {
        case .string, .code, .symbol: reply[field.value.upperBound - 1] == 0
        case .bool: reply[field.value.lowerBound] <= 1
        default: true
        }
    }
}
