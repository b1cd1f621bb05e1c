import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOSSL

/// The HTTP/1.1 pipeline of one connection of the admin API: as Hummingbird's own, with bounds.
struct AdminChannel: ServerChildChannel, HTTPChannelHandler {
    typealias Value = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

    let responder: HTTPChannelHandler.Responder
    let limits: AdminLimits
    let connections: AdminConnections
    let reserve: DescriptorReserve
    /// nil: plain.
    let certificate: AdminCertificate?

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        let reserve = self.reserve
        let released: @Sendable () -> Void = { reserve.refill() }
        let isAdmitted = self.connections.admit(channel, limit: self.limits.connections, released: released)
        let isAnswered = isAdmitted || self.connections.admitRefusal(channel, released: released)
        if !isAnswered {
            // Behind the set-up, not as a failure of it: the listener would take that for its own end.
            channel.eventLoop.execute { channel.close(promise: nil) }
        }
        return channel.eventLoop.makeCompletedFuture {
            var decoder = NIOHTTPDecoderLimitConfiguration()
            decoder.maxHeaderFieldSize = self.limits.headBytes
            decoder.maxHeaderListSize = self.limits.headBytes
            decoder.maxHeaderFieldCount = self.limits.fields
            let pipeline = channel.pipeline.syncOperations
            if let certificate = self.certificate {
                if let context = certificate.context {
                    try pipeline.addHandler(PlainRequestHandler())
                    try pipeline.addHandler(NIOSSLServerHandler(context: context))
                } else {
                    logger.error("no certificate for the admin API: a connection is closed")
                    try pipeline.addHandler(DeafHandler())
                    // Behind the set-up: what fails within is taken for the listener's own end.
                    channel.eventLoop.execute { channel.close(promise: nil) }
                }
            }
            guard isAdmitted else {
                try pipeline.addHandler(FullHandler(linger: self.limits.linger))
                return try NIOAsyncChannel(
                    wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
            }
            try pipeline.addHandler(ArrivalHandler())
            try pipeline.configureHTTPServerPipeline(
                withPipeliningAssistance: false, withErrorHandling: false, withOutboundHeaderValidation: false,
                withEncoderConfiguration: .init(), withDecoderLimitConfiguration: decoder)
            try pipeline.addHandler(AdminExchangeHandler(limits: self.limits, connections: self.connections))
            try pipeline.addHandler(HTTP1ToHTTPServerCodec(secure: self.certificate != nil))
            try pipeline.addHandler(HTTPConnectionStateHandler(logger: logger))
            return try NIOAsyncChannel(
                wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
        }
    }

    func handle(value: Value, logger: Logger) async {
        await handleHTTP(asyncChannel: value, logger: logger)
    }
}
