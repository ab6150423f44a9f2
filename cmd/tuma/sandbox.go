package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/dev"
	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers/catalog"
)

func newSandbox(a *app) *cobra.Command {
	var listen string
	var latency time.Duration
	var reports simulator.Reports
	c := &cobra.Command{
		Use:   "sandbox",
		Short: "Run simulated gateways for testing",
		Long: `Sandbox serves simulated versions of all gateways, as the vendors document them.
It sends no messages and accepts any login. It counts the messages it accepts,
and can simulate faults. A duplicate is a message that was sent before: the same
text to the same number. The keys that Tuma sends to kobo show which calls
belong to one campaign. So at kobo the same text in another campaign is not a
duplicate. At the other gateways, which have no keys, it is a duplicate.

All gateways have the faults close, hang, html, cut, missing, extra, shuffled,
and an HTTP status such as 429. A gateway also has those of the faults "later",
"campaign", "credit", "text" and "blacklist" for which its vendor has a code.
The fault code_CODE replies with the code CODE of the vendor. With accept_
before the name of a fault, the gateway first accepts the call.

  curl localhost:8025/_sandbox/stats
  curl localhost:8025/_sandbox/faults -d fault=accept_close -d n=3
  curl localhost:8025/_sandbox/faults -d fault=502 -d p=0.05
  curl localhost:8025/_sandbox/faults -d gateway=africastalking \
    -d fault=later -d n=3
  curl localhost:8025/_sandbox/say -d gateway=kobo -d word=reject \
    -d numbers=2348030000011
  curl localhost:8025/_sandbox/faults -d clear=1
  curl localhost:8025/_sandbox/inbound -d gateway=africastalking \
    -d from=254711000001 -d to=20414 -d text=STOP \
    -d url=http://127.0.0.1:8090/callbacks/at/SECRET/inbound

With --report-to, africastalking posts a delivery report about each message to a
callback URL, out of order. The other --report flags set the shares of reports,
from 0 to 1, that fail, or are doubled, early, late or lost. You can change
these shares while the sandbox runs:

  curl localhost:8025/_sandbox/reports -d gateway=africastalking -d fail=0.1 \
    -d url=http://127.0.0.1:8090/callbacks/at/SECRET/delivery -d early=0.1
  curl 'localhost:8025/_sandbox/reports?gateway=africastalking'`,
		Example: "  tuma sandbox\n  tuma sandbox --listen 127.0.0.1:9000 --latency 50ms",
		Args:    takes(),
		RunE: a.verb(func(ctx context.Context, _ []string) error {
			return a.sandbox(ctx, listen, simulator.Options{Latency: latency, Reports: reports})
		}),
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:8025", "`address` to listen on")
	c.Flags().DurationVar(&latency, "latency", 0, "`duration` that a gateway waits before each answer")
	f := c.Flags()
	f.StringVar(&reports.URL, "report-to", "", "callback `URL` for the delivery reports of africastalking")
	f.DurationVar(&reports.Delay, "report-delay", time.Second, "average `duration` from the acceptance of a message to its report")
	f.Float64Var(&reports.Fail, "report-fail", 0, "fail to deliver this `share` of the messages")
	f.Float64Var(&reports.Twice, "report-twice", 0, "post this `share` of the reports twice")
	f.Float64Var(&reports.Early, "report-early", 0, "post this `share` of the reports before the answer to the call")
	f.Float64Var(&reports.Late, "report-late", 0, "post this `share` of the reports after ten times the usual delay")
	f.Float64Var(&reports.Lost, "report-lost", 0, "never post this `share` of the reports")
	f.Float64Var(&reports.Mangled, "report-mangled", 0, "for this `share` of the messages, report a changed ID: in upper case, or without leading zeros")
	f.BoolVar(&reports.Interim, "report-interim", false, "before each final report, also post a report that is not final")
	return c
}

// sandbox serves the simulated gateways until ctx is done.
func (a *app) sandbox(ctx context.Context, listen string, o simulator.Options) error {
	if err := o.Reports.Check(); err != nil {
		return misuse("--report-to and the other --report flags: %v", err)
	}
	gateway := catalog.Simulate(o)
	server, address, err := serveSandbox(ctx, gateway, listen)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s# The sandbox keeps its own count: http://%s/_sandbox/stats\n%s\n", sandboxAccounts(address), address, countedAs)
	if err == nil {
		<-ctx.Done()
	}
	gateway.Close()
	return errors.Join(err, server.Close())
}

// countedAs is a text in the form of YAML comments. It explains the counts of the sandbox.
const countedAs = `#   accepted    messages that a gateway took
#   numbers     different recipients of these messages
#   duplicates  messages with the text and the number of an earlier message. At
#               kobo a message of another campaign does not count, because its
#               key names the campaign. The other gateways have no keys
#   replays     calls that repeat the key of an earlier call; the gateway sends no
#               message for such a call
`

// sandboxAccounts returns the text that the command prints first: a sentence, and a configuration
// with an account at each gateway of the sandbox.
func sandboxAccounts(address string) string {
	return fmt.Sprintf("The sandbox listens on http://%s. To use it, put these accounts into tuma.yaml:\n\n%s\nwindows: off # the sandbox may be used at any hour\n\n",
		address, dev.Accounts(address))
}

// serveSandbox listens on an address and serves the sandbox until the server is closed. It returns
// the address with the actual port.
func serveSandbox(ctx context.Context, gateway *simulator.Server, listen string) (server *http.Server, address string, err error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", listen)
	if err != nil {
		return nil, "", fmt.Errorf("--listen: %w", err)
	}
	server = &http.Server{Handler: gateway, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }() // ends with ErrServerClosed
	return server, listener.Addr().String(), nil
}
