import Glibc

/// Standard input, output and error.
package enum StandardDescriptors {
    /// Puts /dev/null where the process was started without one of them. The next socket would take that number otherwise,
    /// and receive what is printed. To be called before anything else opens a file.
    package static func fill() {
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
            // The lowest free number is taken, which is this one.
            _ = open("/dev/null", O_RDWR)
        }
    }
}
