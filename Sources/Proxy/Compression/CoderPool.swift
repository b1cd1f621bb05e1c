import Compression
import Traffic

/// What compresses in one worker: so many bodies at a time and no more, and memory that is kept from one to the next.
struct CoderPool {
    /// Bodies at a time: each takes up to a megabyte.
    private static let limit = 64
    /// Kept for the next.
    private static let kept = 16

    private var free: [ContentCoder] = []
    private var lent = 0

    /// nil: there are as many as there may be, or there is no memory.
    mutating func take(_ coding: ContentCoding, level: UInt8?) -> ContentCoder? {
        guard self.lent < Self.limit else { return nil }
        let level = level.map { Int32($0) }
        if let place = self.free.lastIndex(where: { $0.suits(coding, level: level) }) {
            let coder = self.free.remove(at: place)
            if coder.begin() {
                self.lent += 1
                return coder
            }
        }
        guard let coder = ContentCoder(coding, level: level) else { return nil }
        self.lent += 1
        return coder
    }

    mutating func give(back coder: ContentCoder) {
        self.lent -= 1
        if self.free.count >= Self.kept { self.free.removeFirst() }
        self.free.append(coder)
    }
}
