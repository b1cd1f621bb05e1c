/// What of a response's fields decides whether its body may be put into another form.
package struct ContentFields {
    /// Without parameters; nil: there is none, or there are several.
    package private(set) var type: ByteRange?
    /// It has a form already, or is a part only.
    package private(set) var isEncoded = false
    package private(set) var isPart = false
    /// `Cache-Control: no-transform` (RFC 9110 7.7).
    package private(set) var mustStay = false
    /// `Vary` names Accept-Encoding already, or says that anything may matter.
    package private(set) var varies = false

    package init(_ fields: FieldList, _ source: borrowing Span<UInt8>) {
        var types = 0
        for index in 0..<fields.count {
            let field = fields[index]
            if ASCII.equalsIgnoringCase(source, field.name, lowercase: "content-type") {
                types += 1
                self.type = Self.essence(field.value, source)
            } else if ASCII.equalsIgnoringCase(source, field.name, lowercase: "content-encoding") {
                // `identity` should not be said, and says nothing (RFC 9110 12.5.3).
                if !field.value.isEmpty, !ASCII.equalsIgnoringCase(source, field.value, lowercase: "identity") {
                    self.isEncoded = true
                }
            } else if ASCII.equalsIgnoringCase(source, field.name, lowercase: "content-range") {
                self.isPart = true
            } else if ASCII.equalsIgnoringCase(source, field.name, lowercase: "cache-control") {
                if Self.names("no-transform", field.value, source) { self.mustStay = true }
            } else if ASCII.equalsIgnoringCase(source, field.name, lowercase: "vary") {
                if Self.names("accept-encoding", field.value, source) || Self.names("*", field.value, source) {
                    self.varies = true
                }
            }
        }
        if types > 1 { self.type = nil }
    }

    /// Whether a request's or a response's fields ask that nobody changes the content.
    package static func forbidChange(_ fields: FieldList, _ source: borrowing Span<UInt8>) -> Bool {
        for index in 0..<fields.count
        where ASCII.equalsIgnoringCase(source, fields[index].name, lowercase: "cache-control") {
            if self.names("no-transform", fields[index].value, source) { return true }
        }
        return false
    }

    private static func names(
        _ token: StaticString, _ value: ByteRange, _ source: borrowing Span<UInt8>
    ) -> Bool {
        var elements = ElementList(value)
        while let element = elements.next(in: source) {
            if ASCII.equalsIgnoringCase(source, element, lowercase: token) { return true }
        }
        return false
    }

    private static func essence(_ value: ByteRange, _ source: borrowing Span<UInt8>) -> ByteRange {
        var end = Int(value.lower)
        while end < Int(value.upper), source[end] != 0x3B, source[end] != 0x20, source[end] != 0x09 { end += 1 }
        return ByteRange(Int(value.lower), end)
    }
}
