/// A request that was written as an HTTP/1.1 head, for a protocol that has its parts one by one (RFC 9113 8.3.1).
package struct RequestLines {
    package let method: UnsafeRawBufferPointer
    /// Origin form, or the asterisk.
    package let path: UnsafeRawBufferPointer
    /// Empty: the request names nobody.
    package let authority: UnsafeRawBufferPointer
    /// Those behind Host.
    package var fields: FieldLines

    /// `bytes`: as `RequestRewriter` writes them, Host first. nil: they are none.
    package init?(_ bytes: UnsafeMutableRawBufferPointer) {
        let source = UnsafeRawBufferPointer(bytes)
        var first = 0
        while first < source.count, source[first] > 0x20 { first += 1 }
        var second = first + 1
        while second < source.count, source[second] > 0x20 { second += 1 }
        guard second < source.count, source[first] == 0x20, source[second] == 0x20 else { return nil }
        self.method = UnsafeRawBufferPointer(rebasing: source[0..<first])
        self.path = UnsafeRawBufferPointer(rebasing: source[first + 1..<second])
        self.fields = FieldLines(bytes, startsWithLine: true, takesTrailers: true)
        guard let host = self.fields.next(), FieldRules.equals(host.name, "host") else { return nil }
        self.authority = host.value
    }

    /// Of the key and of what it is answered with another protocol knows nothing (RFC 8441 5).
    package static func isWebSocketKey(_ name: UnsafeRawBufferPointer) -> Bool {
        FieldRules.equals(name, "sec-websocket-key") || FieldRules.equals(name, "sec-websocket-accept")
    }

    /// What must not be found in the tables that requests of several clients share (RFC 7541 7.1.3).
    package static func isSecret(_ name: UnsafeRawBufferPointer) -> Bool {
        FieldRules.equals(name, "cookie") || FieldRules.equals(name, "authorization")
    }
}
