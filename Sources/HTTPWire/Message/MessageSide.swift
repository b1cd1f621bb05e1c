/// Which of the two messages of an exchange.
package enum MessageSide: Sendable {
    case request, response
}
