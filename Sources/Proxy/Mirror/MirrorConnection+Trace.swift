import HTTPWire
import Traffic

extension MirrorCore {
    func newSpan() -> UInt64 { self.random.nextIdentifier() }
}

/// The span of a copy.
extension CopiedRequest {
    private static let pathLimit = 1_024

    /// The copy's own `traceparent` line; the client's fields are taken out of its head.
    func traceLine(_ trace: CopiedTrace, span: UInt64, of copy: inout HeadCopy) -> [UInt8] {
        guard self.route.tracing?.writesParent ?? false,
            !self.mirror.spec.mirror.drop.contains(where: { $0.lowercased() == "traceparent" })
        else { return [] }
        copy.remove("traceparent")
        if !trace.isContinued { copy.remove("tracestate") }
        let line = [UInt8](unsafeUninitializedCapacity: 80) { buffer, count in
            var writer = ByteWriter(UnsafeMutableRawBufferPointer(buffer))
            TraceParent(
                traceHigh: trace.trace.high, traceLow: trace.trace.low, parent: span, flags: trace.flags
            ).writeLine(into: &writer)
            count = writer.count
        }
        return line
    }

    func span(_ trace: CopiedTrace, span: UInt64, member: Int, from began: UInt64, to ended: UInt64) -> SpanRecord {
        let head = self.head.head
        var record = SpanRecord(
            .copy, trace: trace.trace, span: span, parent: trace.parent, flags: trace.flags, began: began,
            ended: ended, method: head.method.spanName,
            path: Array(self.head.bytes[head.path.bounds].prefix(Self.pathLimit)))
        record.link = trace.link
        record.route = self.route.name
        record.upstream = self.route.route.upstream(member)?.name ?? ""
        record.mirror = self.mirror.spec.name
        record.stage = Int(self.mirror.spec.stage)
        record.epoch = self.mirror.spec.epoch
        return record
    }
}
