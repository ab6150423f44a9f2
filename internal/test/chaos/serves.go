//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// serveProcesses is how many processes `tuma serve` a run has.
const serveProcesses = 2

// callbackSecret is the callback_secret of every account with callbacks.
const callbackSecret = "chaos-callback-secret" // doors with this secret exist only on loopback

// The variable "posted" is the gateway that posts delivery reports. The variable "polled" has the gateways that
// `tuma serve` polls for delivery reports. The variable "forwards" has the gateways that forward incoming messages.
var (
	posted   = "africastalking"
	polled   = []string{"kobo", "textconnect"}
	forwards = []string{"africastalking", "textconnect"}
)

// reportRate is the report_rate of every polled account: the requests for delivery reports in one second.
const reportRate = 20

// The variable "deliveries" has the settings with which the polled gateways answer requests for delivery reports.
var deliveries = simulator.Deliveries{Delay: 20 * time.Second, Fail: 0.2, Lost: 0.05}

// The method "reports" returns the settings of the delivery reports that are posted to a URL.
func (o options) reports(to string) simulator.Reports {
	s := simulator.Reports{URL: to, Delay: 3 * time.Second, Fail: 0.2, Twice: 0.3, Early: 0.1, Late: 0.02, Lost: 0.02, Mangled: 0.02}
	if o.quick {
		s.Delay, s.Late = 300*time.Millisecond, 0
	}
	return s
}

// reportGateways makes the gateways report deliveries. base is the base URL of the run's web server.
func (r *chaosRun) reportGateways(base string) error {
	errs := []error{r.gateway.Gateway(posted).SetReports(r.reports(base + relayPath + posted + "/delivery"))}
	for _, name := range polled {
		vendor := r.gateway.Gateway(name).Vendor().(simulator.OptionSetter)
		for option, value := range map[string]string{
			"report_delay": deliveries.Delay.String(), "report_fail": fmt.Sprint(deliveries.Fail), "report_lost": fmt.Sprint(deliveries.Lost),
		} {
			known, err := vendor.SetOption(option, value)
			if err == nil && !known {
				err = fmt.Errorf("%s has no option %s", name, option)
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// serveConfig returns the lines of an account's configuration that only `tuma serve` needs.
func serveConfig(gateway string) (lines string) {
	if slices.Contains(forwards, gateway) {
		lines += "    callback_secret: " + callbackSecret + "\n"
	}
	if slices.Contains(polled, gateway) {
		lines += fmt.Sprintf("    reports: all\n    report_rate: %d/s\n", reportRate)
	}
	return lines
}

// newServeSlots prepares the processes `tuma serve`, each with a port that is free now.
func (r *chaosRun) newServeSlots(ctx context.Context, config string) error {
	for n := range r.serves {
		address, err := freeAddress(ctx)
		if err != nil {
			return fmt.Errorf("find a port for tuma serve: %w", err)
		}
		r.relay.addresses = append(r.relay.addresses, address)
		r.serveSlots = append(r.serveSlots, &processSlot{binary: r.binary, config: config, log: filepath.Join(r.dir, fmt.Sprintf("serve-%d.log", n+1)),
			args: []string{"serve", "--listen", address}, replace: make(chan *child)})
	}
	return nil
}

// freeAddress returns a free address on loopback. Its port is below the ephemeral ports, so that no
// outgoing connection takes it while the process is dead.
func freeAddress(ctx context.Context) (address string, err error) {
	var config net.ListenConfig
	for range portTries {
		address = net.JoinHostPort("127.0.0.1", strconv.Itoa(20000+rand.IntN(12000)))
		var l net.Listener
		if l, err = config.Listen(ctx, "tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", err
}

// awaitServes returns when all processes `tuma serve` are ready.
func (r *chaosRun) awaitServes(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for n := 0; n < len(r.relay.addresses); {
		status, err := r.relay.readiness(ctx, r.relay.addresses[n])
		if status == http.StatusOK {
			n++
			continue
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("tuma serve must be ready within a minute (log %s): %w", r.serveSlots[n].log, errors.Join(err, ctx.Err()))
		case <-tick.C:
		}
	}
	return nil
}
