import CNGHTTP2

/// HPACK out, by nghttp2. The table has at most 4,096 bytes whatever the peer offers.
package struct FieldDeflater: ~Copyable {
    package static let tableLimit = 4_096

    private let deflater: OpaquePointer

    /// nil: there is no memory.
    package init?() {
        var created: OpaquePointer?
        guard nghttp2_hd_deflate_new(&created, Self.tableLimit) == 0, let created else { return nil }
        self.deflater = created
    }

    deinit { nghttp2_hd_deflate_del(self.deflater) }

    /// The peer's table takes so many bytes.
    package mutating func adopt(tableSize: Int) {
        _ = nghttp2_hd_deflate_change_table_size(self.deflater, min(max(0, tableSize), Self.tableLimit))
    }

    /// Writes the fields as a block; nil if `room` may be too small, and then nothing has changed.
    package mutating func encode(_ fields: borrowing FieldArray, into room: UnsafeMutableRawBufferPointer) -> Int? {
        let bound = nghttp2_hd_deflate_bound(self.deflater, fields.base, fields.count)
        guard bound <= room.count else { return nil }
        let count = cnghttp2_deflate(
            self.deflater, room.bindMemory(to: UInt8.self).baseAddress, room.count, fields.base, fields.count)
        return count >= 0 ? Int(count) : nil
    }
}

/// Fields to encode: where their names and values stand. Made once, reused for every block.
package struct FieldArray: ~Copyable {
    fileprivate private(set) var base: UnsafeMutablePointer<nghttp2_nv>
    private var capacity: Int
    package private(set) var count = 0

    package init(capacity: Int = 64) {
        self.capacity = max(1, capacity)
        self.base = .allocate(capacity: self.capacity)
    }

    deinit { self.base.deallocate() }

    package mutating func removeAll() { self.count = 0 }

    /// Bytes of all, as RFC 9113 6.5.2 counts them.
    package var size: Int {
        var size = 32 * self.count
        for index in 0..<self.count { size += self.base[index].namelen + self.base[index].valuelen }
        return size
    }

    /// With a name that is known.
    package mutating func append(_ name: StaticString, _ value: UnsafeRawBufferPointer) {
        self.append(name: UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount), value: value)
    }

    package mutating func append(_ name: StaticString, _ value: StaticString) {
        self.append(name, UnsafeRawBufferPointer(start: value.utf8Start, count: value.utf8CodeUnitCount))
    }

    /// Names in lower case. The bytes must stay until the block is encoded. `isSecret`: no table keeps it (RFC 7541 7.1.3).
    package mutating func append(
        name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, isSecret: Bool = false
    ) {
        if self.count == self.capacity { self.grow() }
        var field = nghttp2_nv()
        field.name = UnsafeMutablePointer(mutating: name.bindMemory(to: UInt8.self).baseAddress)
        field.namelen = name.count
        field.value = UnsafeMutablePointer(mutating: value.bindMemory(to: UInt8.self).baseAddress)
        field.valuelen = value.count
        if isSecret { field.flags = UInt8(truncatingIfNeeded: NGHTTP2_NV_FLAG_NO_INDEX.rawValue) }
        (self.base + self.count).initialize(to: field)
        self.count += 1
    }

    private mutating func grow() {
        let larger = UnsafeMutablePointer<nghttp2_nv>.allocate(capacity: self.capacity * 2)
        larger.moveInitialize(from: self.base, count: self.count)
        self.base.deallocate()
        self.base = larger
        self.capacity *= 2
    }
}
