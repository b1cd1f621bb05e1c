import Synchronization

/// The first requests an hour of each kind: what is seldom asked is compared too, whatever the share of copies is. A fixed table
/// without a lock, shared by all workers; kinds that find no place in it are copied by the share alone.
package final class RareTemplates: Sendable {
    package static let entries = 4_096
    /// Requests of a kind in an hour.
    package static let perHour: UInt64 = 20
    private static let setSize = 8

    /// 32 bits of the kind's hash, 24 of the hour, 8 of how many. Allocated here, freed with this object, never handed out.
    private nonisolated(unsafe) let cells: UnsafeMutablePointer<Atomic<UInt64>>

    package init() {
        self.cells = .allocate(capacity: Self.entries)
        for index in 0..<Self.entries { (self.cells + index).initialize(to: Atomic(0)) }
    }

    deinit {
        self.cells.deinitialize(count: Self.entries)
        self.cells.deallocate()
    }

    /// Whether this request is among the first of its kind; it counts as one. `hour` is any count of hours.
    package func take(_ hash: UInt64, hour: UInt64) -> Bool {
        let kind = (hash >> 32 | 1) << 32
        let time = (hour & 0xFF_FFFF) << 8
        let first = Int(truncatingIfNeeded: hash) & (Self.entries - Self.setSize)
        while true {
            var place: (cell: Int, stored: UInt64)?
            search: for offset in 0..<Self.setSize {
                let stored = (self.cells + first + offset).pointee.load(ordering: .relaxed)
                if stored & 0xFFFF_FFFF_0000_0000 == kind {
                    place = (first + offset, stored)
                    break search
                }
                // Of an hour that is over.
                if place == nil, stored & 0xFFFF_FF00 != time || stored == 0 { place = (first + offset, stored) }
            }
            guard let place else { return false }
            let isCounted = place.stored & 0xFFFF_FFFF_FFFF_FF00 == kind | time
            let count = isCounted ? place.stored & 0xFF : 0
            guard count < Self.perHour else { return false }
            let (exchanged, _) = (self.cells + place.cell).pointee.compareExchange(
                expected: place.stored, desired: kind | time | (count + 1), ordering: .relaxed)
            if exchanged { return true }
        }
    }
}

/// The kind of a request as a hash, without making its template as text: segments that name a thing count alike, and of a
/// query the names (see `PathTemplate` of the comparison, which decides what people read).
package struct TemplateHash: Sendable {
    /// Segments of what an operator gave; nil stands for any.
    private let patterns: [[[UInt8]?]]

    package init(patterns: [String] = []) {
        self.patterns = patterns.map { pattern in
            pattern.utf8.dropFirst().split(separator: 0x2F, omittingEmptySubsequences: false).map { segment in
                segment.elementsEqual("*".utf8) ? nil : Array(segment)
            }
        }
    }

    package func hash(path: Span<UInt8>, query: Span<UInt8>) -> UInt64 {
        for (number, pattern) in self.patterns.enumerated() where Self.matches(path, pattern) {
            return SplitMix64.mix(UInt64(number) &+ 1)
        }
        var hash = KeyHash.start
        var start = min(1, path.count)
        while start <= path.count {
            let end = Self.end(of: 0x2F, in: path, from: start)
            hash = (hash ^ 0x2F) &* KeyHash.factor
            if Self.isName(path.extracting(start..<end)) {
                hash = (hash ^ 0x2A) &* KeyHash.factor
            } else {
                for index in start..<end { hash = (hash ^ UInt64(path[index])) &* KeyHash.factor }
            }
            start = end + 1
        }
        // In any order.
        var names: UInt64 = 0
        start = 0
        while start < query.count {
            let end = Self.end(of: 0x26, in: query, from: start)
            let name = Self.end(of: 0x3D, in: query.extracting(start..<end), from: 0)
            if name > 0 { names &+= KeyHash.hash(query.extracting(start..<start + name)) }
            start = end + 1
        }
        return SplitMix64.mix(hash &+ names)
    }

    private static func end(of byte: UInt8, in bytes: Span<UInt8>, from start: Int) -> Int {
        var index = start
        while index < bytes.count, bytes[index] != byte { index += 1 }
        return index
    }

    private static func matches(_ path: Span<UInt8>, _ pattern: [[UInt8]?]) -> Bool {
        var start = min(1, path.count)
        for segment in pattern {
            guard start <= path.count else { return false }
            let end = self.end(of: 0x2F, in: path, from: start)
            if let segment {
                guard segment.count == end - start else { return false }
                for index in segment.indices where segment[index] != path[start + index] { return false }
            }
            start = end + 1
        }
        return start > path.count
    }

    /// Whether a segment names one of many things: digits only, 16 or more hexadecimal ones, a UUID, or more than 40 bytes.
    private static func isName(_ segment: Span<UInt8>) -> Bool {
        if segment.isEmpty { return false }
        if segment.count > 40 { return true }
        var digits = 0
        var hexadecimal = 0
        var hyphens = 0
        for index in segment.indices {
            switch segment[index] {
            case 0x30...0x39:
                digits += 1
                hexadecimal += 1
            case 0x41...0x46, 0x61...0x66: hexadecimal += 1
            case 0x2D where index == 8 || index == 13 || index == 18 || index == 23: hyphens += 1
            default: break
            }
        }
        return digits == segment.count || (hexadecimal == segment.count && segment.count >= 16)
            || (segment.count == 36 && hyphens == 4 && hexadecimal == 32)
    }
}
