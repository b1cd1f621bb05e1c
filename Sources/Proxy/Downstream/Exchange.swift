import HTTPWire
import Reactor
import Traffic

/// One request and its response, retries included. Lives inside its client connection and is reset, not reallocated.
///
///     request body:  complete ◀── length(remaining) | chunked(decoder) ◀── head parsed
///     attempt:       none ─▶ queued ─▶ connecting ─▶ awaiting ─▶ responding ─▶ flushing ─▶ (finished)
///                      ▲________________failed before a response head was committed, and safe to repeat
///
/// `flushing`: the answer is complete and the upstream let go, but the client has not taken all of it yet.
///
/// A retry is possible only while `responseStarted` is false. Whether it is *safe* is decided from `sent` (did bytes of
/// this attempt reach the kernel), the method, and `bodyTaken` against what was kept for replay.
struct Exchange {
    enum Attempt { case none, queued, connecting, awaiting, responding, flushing }

    // The request.
    var runtime: TableRuntime?
    var route: RouteRuntime?
    var method = HTTPMethod.get
    var minorVersion: UInt8 = 1
    var wantsUpgrade = false
    /// The upgrade was asked for, is allowed, and went to the upstream.
    var upgrades = false
    var isPersistent = true
    var isTrusted = false
    var acceptsJSON = false
    /// Peer, or the client that a trusted peer speaks for.
    var client = IPAddress(high: 0, low: 0)
    var requestID: (UInt64, UInt64) = (0, 0)
    /// The head as received, and behind it a body that came whole with it: what a further attempt is made from.
    var kept = ByteQueue()
    var headLength = 0
    var methodRange = ByteRange.empty
    /// What the client asked to upgrade to.
    var upgrade = ByteRange.empty
    var target = ByteRange.empty
    var host = ByteRange.empty

    // Its body on the way up.
    var requestFraming = BodyFraming.none
    var requestComplete = true
    var requestRemaining: UInt64 = 0
    var requestDecoder = ChunkedDecoder(extensionLimit: 0, trailerLimit: 0)
    var requestBytes: UInt64 = 0
    /// Body bytes were consumed that `kept` does not hold.
    var bodyTaken = false
    /// The body is whole in `kept`.
    var bodyKept = false

    // Where it goes.
    var member = -1
    var forcedMember = -1
    var position: UInt64 = 0
    var stickyKey: UInt64 = 0
    var hasStickyKey = false
    var failedMembers: UInt64 = 0
    var tried = TriedEndpoints()
    var attempts: UInt32 = 0
    var upstream: UpstreamRuntime?
    var endpoint: Endpoint?
    var pool: EndpointPool?
    var isTrial = false
    var attempt = Attempt.none
    var reusedConnection = false
    var freshConnectionOnly = false
    var sent = false

    // The response.
    var responseStarted = false
    var status: UInt16 = 0
    var interims: UInt32 = 0
    var responseFraming = BodyFraming.none
    /// How the body goes to the client.
    var clientFraming = BodyFraming.none
    var responseRemaining: UInt64 = 0
    var responseDecoder = ChunkedDecoder(extensionLimit: 0, trailerLimit: 0)
    var responseBytes: UInt64 = 0
    var upstreamReusable = false
    var reason: LocalReason?

    // Times: microseconds for what is measured, milliseconds for what is waited for.
    var began: UInt64 = 0
    /// When the exchange became a tunnel; 0: it did not.
    var tunnelledAt: UInt64 = 0
    var headAt: UInt64 = 0
    var deadline: UInt64 = 0
    var bodyDeadline: UInt64 = 0
    /// What a socket still held unacknowledged when it was last looked at: a peer that takes bytes steadily, but fewer
    /// than it needs to turn the socket writable again, is slow and not stalled.
    var unacknowledged = Int.max

    init() {}
}
