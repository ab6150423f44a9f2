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

// Runner is a *testing.M.
type Runner interface {
	// Run runs the tests and returns what the process is to exit with.
	Run() int
}

// Main is the TestMain of a package whose tests open providers and need nothing else:
// it runs the tests under the guard, and exits.
func Main(m Runner) { os.Exit(Guarded(m).Run()) }

// Guarded returns a Runner that runs m under the guard of Guard, and fails with a
// line for each address if anything wanted to dial one that is not on this machine,
// even if every test was content. It is for a TestMain that has more to do.
func Guarded(m Runner) Runner { return guarded{m} }

type guarded struct{ Runner }

// Run runs the tests.
func (g guarded) Run() int {
	refused := Guard()
	code := g.Runner.Run()
	addresses := refused()
	for _, addr := range addresses {
		fmt.Fprintf(os.Stderr, "FAIL: %s: something wanted to dial %s; tests talk to nothing but loopback\n", testedPackage(), addr)
	}
	if len(addresses) > 0 && code == 0 {
		code = 1
	}
	return code
}

// Guard refuses, from now on and in the whole process, every connection of a
// provider's client and of http.DefaultTransport to an address that is not on this
// machine, before its name is resolved. The environment's proxies are forgotten: one on this machine could carry a
// call anywhere. Refused returns the addresses that were refused, sorted. It is to be
// called before anything is sent, and is for processes without a Runner.
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
		return fmt.Errorf("dial %s %s: refused by the guard of tests: it is not loopback", network, addr)
	}
	dial.Guard(ask)
	guardDefaultTransport(ask)
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Sorted(slices.Values(addresses))
	}
}

// guardDefaultTransport makes http.Get and its like ask too.
func guardDefaultTransport(ask func(network, addr string) error) {
	standard, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return
	}
	guarded := standard.Clone()
	var dialer net.Dialer
	guarded.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if err := ask(network, addr); err != nil {
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

// testedPackage is the import path of the package that this binary tests.
func testedPackage() string {
	if build, ok := debug.ReadBuildInfo(); ok && build.Path != "" {
		return strings.TrimSuffix(build.Path, ".test")
	}
	return os.Args[0]
}
