package providertest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/tuma-sms/tuma/providers/internal/dial"
)

// Runner runs tests, as *testing.M does.
type Runner interface {
	// Run runs the tests and returns the exit code of the process.
	Run() int
}

// Main runs the tests under Guard and exits. Use Main if TestMain of a package only has to run the tests.
func Main(m Runner) { os.Exit(Guarded(m).Run()) }

// Guarded returns a Runner that runs m under Guard. If any code tries to dial other machines, Run
// prints a line for each of their addresses. Run then returns a code other than 0, even if every test
// passed. Use Guarded if TestMain has further tasks.
func Guarded(m Runner) Runner { return guarded{m} }

type guarded struct{ Runner }

// Run runs the tests.
func (g guarded) Run() int {
	refused := Guard()
	code := g.Runner.Run()
	addresses := refused()
	for _, addr := range addresses {
		fmt.Fprintf(os.Stderr, "FAIL: %s: the tests tried to connect to %s; tests may connect only to this machine (loopback)\n", testedPackage(), addr)
	}
	if len(addresses) > 0 && code == 0 {
		code = 1
	}
	return code
}

// Guard refuses every later connection of the process to another machine. Guard refuses a
// connection before the host name is resolved. Guard applies to providers' clients and to
// http.DefaultTransport. Guard also removes the proxies from the environment, because a proxy on
// this machine could forward a call to any other machine. The result "refused" is a function
// that returns the refused addresses, sorted. Call Guard before the first connection. Call it
// directly only in a process that has no Runner.
func Guard() (refused func() []string) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		_ = os.Unsetenv(name)
	}
	var mu sync.Mutex
	var addresses []string
	ask := func(network, addr string) error {
		if onThisMachine(addr) {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if !slices.Contains(addresses, addr) {
			addresses = append(addresses, addr)
		}
		return fmt.Errorf("dial %s %s: refused by the network guard of the tests: the address must be on this machine (loopback)", network, addr)
	}
	dial.Guard(ask)
	guardDefaultTransport(ask)
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Sorted(slices.Values(addresses))
	}
}

// guardDefaultTransport makes http.DefaultTransport call the function check() before each dial. Functions like
// http.Get use that transport.
func guardDefaultTransport(check func(network, addr string) error) {
	standard, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return
	}
	guarded := standard.Clone()
	var dialer net.Dialer
	guarded.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if err := check(network, addr); err != nil {
			return nil, err
		}
		return dialer.DialContext(ctx, network, addr)
	}
	http.DefaultTransport = guarded
}

func onThisMachine(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && (strings.EqualFold(host, "localhost") || net.ParseIP(host).IsLoopback())
}

// testedPackage returns the import path of the package that this binary tests.
func testedPackage() string {
	if build, ok := debug.ReadBuildInfo(); ok && build.Path != "" {
		return strings.TrimSuffix(build.Path, ".test")
	}
	return os.Args[0]
}
