/// A request's head with its fields as plain values: for whoever writes it again when its memory is gone, on any thread.
package struct HeadCopy: Sendable {
    /// Its ranges point into `bytes`.
    package let head: RequestHead
    package private(set) var bytes: [UInt8]
    private var fields: [Field]
    private let present: FieldNameSet

    /// nil: the block keeps none.
    package init?(_ block: HeadBlock) {
        guard let head = block.head else { return nil }
        let list = block.fields
        self.head = head
        self.bytes = Array(block.bytes)
        self.fields = (0..<list.count).map { list[$0] }
        self.present = list.present
    }

    /// Bytes of memory that it holds.
    package static func size(of block: HeadBlock) -> Int {
        block.bytes.count + block.fields.count * MemoryLayout<Field>.stride
    }

    /// The fields, and the bytes into which they point; valid within the call.
    package func withFields<Result>(_ body: (FieldList, UnsafeRawBufferPointer) -> Result) -> Result {
        self.fields.withUnsafeBufferPointer { fields in
            self.bytes.withUnsafeBytes { body(FieldList(fields, present: self.present), $0) }
        }
    }

    /// Names another parent in `traceparent` (W3C Trace Context): what follows hangs on it. A field of another form stays.
    package mutating func setTraceParent(_ identifier: UInt64) {
        let name: StaticString = "traceparent"
        for field in self.fields where field.name.count == 11 && field.value.count >= 55 {
            guard ASCII.hasPrefixIgnoringCase(self.bytes.span, field.name, lowercase: name) else { continue }
            let start = Int(field.value.lower)
            guard self.bytes[start + 2] == 0x2D, self.bytes[start + 35] == 0x2D, self.bytes[start + 52] == 0x2D else {
                continue
            }
            for place in 0..<16 {
                let digit = UInt8(truncatingIfNeeded: identifier >> UInt64(60 - 4 * place) & 0xF)
                self.bytes[start + 36 + place] = digit < 10 ? 0x30 + digit : 0x57 + digit
            }
        }
    }

    /// Takes the fields of a name, in lower case, out.
    package mutating func remove(_ name: StaticString) {
        let bytes = self.bytes
        self.fields.removeAll { ASCII.equalsIgnoringCase(bytes.span, $0.name, lowercase: name) }
    }

    /// The method and the target as they came.
    package var method: String { String(decoding: self.bytes[self.head.methodRange.bounds], as: UTF8.self) }
    package var target: String { String(decoding: self.bytes[self.head.target.bounds], as: UTF8.self) }
}
