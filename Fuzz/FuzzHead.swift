import HTTPWire

/// Invariants of the head parser on any input: ranges inside the head, no prefix accepted, a head that drips found with its
/// last byte, and rewritten heads that parse again to the same message.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHead(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: start, count: count))
    let limits = HeadLimits(requestLine: 512, bytes: 2_048, count: 32)
    var fields = FieldTable()
    if let response = try? HeadParser.response(bytes.span, to: .get, limits: limits, fields: &fields) {
        precondition(response.length <= bytes.count && response.length <= limits.bytes)
        roundTrip(response, fields: fields, bytes: bytes)
    }
    do throws(HeadError) {
        guard let head = try HeadParser.request(bytes.span, limits: limits, fields: &fields) else { return 0 }
        precondition(head.length <= bytes.count && head.length <= limits.bytes && fields.count <= limits.count)
        for index in 0..<fields.count {
            precondition(fields[index].name.upper <= fields[index].value.lower)
            precondition(Int(fields[index].value.upper) <= head.length)
        }
        var scratch = FieldTable()
        for shorter in [0, head.length / 2, head.length - 1] {
            let prefix = Array(bytes[..<shorter])
            let early = try? HeadParser.request(prefix.span, limits: limits, fields: &scratch)
            precondition(early == .some(nil), "a prefix of an accepted head was accepted or refused")
        }
        precondition(dripped(bytes, limits: limits) == head.length, "a head that drips is missed or found early")
        roundTrip(head, fields: fields, bytes: bytes)
    } catch {}
    return 0
}

/// With how many bytes a head is found that comes byte by byte. At most three attempts are made.
private func dripped(_ bytes: [UInt8], limits: HeadLimits) -> Int? {
    var scan = HeadScan()
    var fields = FieldTable(capacity: 1)
    var attempts = 0
    for count in 1...bytes.count {
        let present = Array(bytes[..<count])
        guard scan.mayBeComplete(present.span, limits: limits) else { continue }
        attempts += 1
        precondition(attempts <= 4)
        guard let head = try? HeadParser.request(present.span, limits: limits, fields: &fields) else { continue }
        precondition(head.length == count)
        return count
    }
    return nil
}

private func roundTrip(_ head: ResponseHead, fields: borrowing FieldTable, bytes: [UInt8]) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 8_192, alignment: 16)
    defer { buffer.deallocate() }
    var writer = ByteWriter(buffer)
    let isWhole = ResponseRewriter.write(
        head, fields: fields, source: bytes.span, framing: head.framing, persistence: .implicit, upgrade: false,
        edits: .none, date: DateField(seconds: 0), into: &writer)
    guard isWhole else { return }
    let written = Array(buffer[..<writer.count])
    var again = FieldTable()
    let limits = HeadLimits(requestLine: 1_024, bytes: 8_192, count: 64)
    guard let parsed = try? HeadParser.response(written.span, to: .get, limits: limits, fields: &again) else {
        preconditionFailure("our own response does not parse")
    }
    precondition(parsed.length == written.count && parsed.status == head.status && parsed.framing == head.framing)
}

private func roundTrip(_ head: RequestHead, fields: borrowing FieldTable, bytes: [UInt8]) {
    guard head.form != .authority else { return }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 8_192, alignment: 16)
    defer { buffer.deallocate() }
    var writer = ByteWriter(buffer)
    let policy = RequestPolicy(
        path: .keep, host: nil, via: [0x62], xForwarded: true, forwarded: true, requestID: true, edits: .none)
    let context = RequestContext(
        peer: AddressText("192.0.2.1".utf8), isPeerTrusted: false, requestID: (1, 2), upgrades: head.wantsUpgrade)
    RequestRewriter.write(head, fields: fields, source: bytes.span, policy: policy, context: context, into: &writer)
    guard !writer.overflowed else { return }
    let written = Array(buffer[..<writer.count])
    var again = FieldTable()
    let limits = HeadLimits(requestLine: 1_024, bytes: 8_192, count: 64)
    let parsed = (try? HeadParser.request(written.span, limits: limits, fields: &again)) ?? nil
    // Only an HTTP/1.0 request that named no host makes one that is refused for its empty Host.
    guard let parsed else {
        precondition(head.host.isEmpty, "our own request does not parse")
        return
    }
    precondition(parsed.length == written.count, "our own request has something behind its head")
    precondition(parsed.framing == head.framing, "framing changed on the way")
}

extension Optional where Wrapped == RequestHead? {
    fileprivate static func == (left: Self, right: Self) -> Bool {
        switch (left, right) {
        case (nil, nil): true
        case (.some(nil), .some(nil)): true
        default: false
        }
    }
}
