/// What decides availability, in one word: two bits each for the probes' and the operator's word, one for whether it is
/// refused, the rest for the time until which it is ejected (0: not).
struct EndpointWord: Equatable {
    var bits: UInt64

    static let inService = EndpointWord(operational: .up)
    static let latest: UInt64 = .max >> 5

    init(bits: UInt64) { self.bits = bits }

    init(operational: Operational) { self.bits = UInt64(operational.rawValue) }

    var operational: Operational {
        get { Operational(rawValue: UInt8(truncatingIfNeeded: self.bits & 3)) ?? .unknown }
        set { self.bits = self.bits & ~3 | UInt64(newValue.rawValue) }
    }

    var administrative: Administrative {
        get { Administrative(rawValue: UInt8(truncatingIfNeeded: self.bits >> 2 & 3)) ?? .ready }
        set { self.bits = self.bits & ~12 | UInt64(newValue.rawValue) << 2 }
    }

    var isRefused: Bool {
        get { self.bits & 16 != 0 }
        set { self.bits = newValue ? self.bits | 16 : self.bits & ~16 }
    }

    /// Milliseconds.
    var ejectedUntil: UInt64 {
        get { self.bits >> 5 }
        set { self.bits = self.bits & 31 | min(newValue, Self.latest) << 5 }
    }
}
