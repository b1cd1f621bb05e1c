/// Where a header field lies in the bytes of a request: half-open ranges of offsets.
package struct FieldReference: Sendable, Equatable {
    package var nameLower: UInt32
    package var nameUpper: UInt32
    package var valueLower: UInt32
    package var valueUpper: UInt32

    package init(nameLower: UInt32, nameUpper: UInt32, valueLower: UInt32, valueUpper: UInt32) {
        self.nameLower = nameLower
        self.nameUpper = nameUpper
        self.valueLower = valueLower
        self.valueUpper = valueUpper
    }
}
