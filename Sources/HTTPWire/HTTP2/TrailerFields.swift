/// The fields behind an HTTP/2 body (RFC 9113 8.1), checked one by one and written as lines to where a piece's trailers stand
/// (`BodyFrames.trailerOffset`). Those that `TrailerRules` leave out are left out.
package struct TrailerFields: ~Copyable {
    private let room: UnsafeMutableRawBufferPointer
    private let limit: Int
    private var isBroken = false
    private var size = 0
    private var count = 0
    package private(set) var bytes = 0

    /// Fields that trailers may have.
    private static let fieldLimit = 100

    /// `frames` as for `BodyReader.take`, made for trailers of `limit` bytes.
    package init(frames: UnsafeMutableRawBufferPointer, limit: Int) {
        let end = max(BodyFrames.trailerOffset, frames.count - BodyFrames.lineEnd)
        self.room = UnsafeMutableRawBufferPointer(rebasing: frames[BodyFrames.trailerOffset..<end])
        self.limit = limit
    }

    /// Takes the next field. False: there are so many that a client's connection is to end; what follows is passed over.
    package mutating func add(
        _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, rules: borrowing TrailerRules
    ) -> Bool {
        self.size += name.count + value.count + 4
        self.count += 1
        if self.count > 10 * Self.fieldLimit || self.size > 4 * (self.limit + 4_096) {
            self.isBroken = true
            return false
        }
        guard !self.isBroken else { return true }
        guard FieldRules.isName(name), FieldRules.isValue(value), !FieldRules.isOfConnection(name, value),
            self.size <= self.limit, self.count <= Self.fieldLimit,
            self.bytes + name.count + value.count + 4 <= self.room.count
        else {
            self.isBroken = true
            return true
        }
        var line = ByteWriter(UnsafeMutableRawBufferPointer(rebasing: self.room[self.bytes...]))
        line.append(raw: name)
        line.append(": ")
        line.append(raw: value)
        line.append("\r\n")
        let written = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(self.room)[self.bytes...])
        if rules.keep(ByteRange(0, name.count), in: written.bindMemory(to: UInt8.self).span) {
            self.bytes += line.count
        }
        return true
    }

    /// Bytes of lines that were kept; nil: the trailers are malformed or too long.
    package func finish() -> Int? { self.isBroken ? nil : self.bytes }
}
