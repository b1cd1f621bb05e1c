/// A reference that keeps nothing alive and counts nothing: what owns the object outlives the reference, by the rules of
/// Exchange/LIFECYCLE.md. Following it costs no atomic operation, of which a request would otherwise pay some hundred.
typealias Reference<Object: AnyObject> = Unmanaged<Object>

extension Unmanaged {
    @inline(__always)
    init(to object: Instance) { self = .passUnretained(object) }

    /// Uses the object in place.
    @inline(__always)
    func with<Result>(_ body: (Instance) -> Result) -> Result { self._withUnsafeGuaranteedRef(body) }

    /// The object itself, counted: for what is not on every request's way.
    @inline(__always)
    var object: Instance { self.takeUnretainedValue() }
}
