/// Why bytes are no chunked body.
package enum ChunkError: Error, Equatable, Sendable {
    case badSize, sizeOverflow, badExtension, extensionTooLong, missingLineEnd, badTrailer, trailersTooLong
}
