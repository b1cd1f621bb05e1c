import Comparison

/// Path patterns and bodies: `ComparisonInvariants` are the unit tests' too.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzComparison(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    ComparisonInvariants.check(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}
