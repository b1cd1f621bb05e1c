/// The release of this program.
package enum GatewayVersion {
    package static let current = "0.1.0"
}
