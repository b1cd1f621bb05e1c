import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1

/// The HTTP/1.1 pipeline of one connection: as Hummingbird's own, with framing left to us and a short cut for kept answers.
struct GatewayChannel: ServerChildChannel, HTTPChannelHandler {
    typealias Value = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

    let responder: HTTPChannelHandler.Responder
    let shortcut: KeptAnswers
    let connections: Connections
    /// The most bytes that wait in the kernel; nil for as many as it likes.
    let unsent: Int?
    let limits: ConnectionLimits

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            var encoder = HTTPResponseEncoder.Configuration()
            // The encoder cannot know that it answers a HEAD: it would send the end of a chunked body that must not be there.
            encoder.automaticallySetFramingHeaders = false
            let pipeline = channel.pipeline.syncOperations
            let state = ConnectionState()
            // A request is one read; looking for a second one is a system call for nothing.
            try channel.syncOptions?.setOption(.maxMessagesPerRead, value: 1)
            if let unsent { channel.boundUnsentBytes(unsent) }
            try pipeline.addHandler(
                ShortcutHandler(
                    shortcut.answers(on: channel.eventLoop), connections.on(channel.eventLoop), state, limits))
            try pipeline.configureHTTPServerPipeline(
                withPipeliningAssistance: false, withErrorHandling: false, withOutboundHeaderValidation: false,
                withEncoderConfiguration: encoder)
            try pipeline.addHandler(ExchangeHandler(shortcut, state, limits))
            try pipeline.addHandler(HTTP1ToHTTPServerCodec(secure: false))
            try pipeline.addHandler(HTTPConnectionStateHandler(logger: logger))
            return try NIOAsyncChannel(
                wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
        }
    }

    func handle(value: Value, logger: Logger) async {
        await handleHTTP(asyncChannel: value, logger: logger)
    }
}
