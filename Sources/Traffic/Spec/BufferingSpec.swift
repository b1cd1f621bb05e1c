/// What the balancer takes in of a request before it asks an upstream for anything.
package struct BufferingSpec: Sendable, Equatable {
    /// Bytes of the body that are awaited before a slot or a connection is taken: until the body is whole or so much of it
    /// has come. 0: the body is passed on as it comes.
    package var request: UInt32 = 0

    package static let largestRequest: UInt32 = 1 << 20

    package init() {}
}
