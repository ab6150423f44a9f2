//go:build unix

package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/tuma-sms/tuma/internal/process"
	"github.com/tuma-sms/tuma/internal/test/dirtylist"
	"github.com/tuma-sms/tuma/producer"
)

// fileOptions are the options of the role "file": the sizes of the lists, the number of rounds for each size,
// the working folder, and the path of the tuma binary that the bench runs.
type fileOptions struct {
	sizes  []int
	rounds int
	dir    string
	binary string
}

// maxFileRatio is the largest permitted ratio: the time until a list is planned, divided by the time to read and copy
// the file of the list.
const maxFileRatio = 3

// minBoundRows is the smallest number of rows for which maxFileRatio is checked.
const minBoundRows = 1_000_000

// fileRole measures how long `tuma send` and a worker take until a list with dirty rows is planned. It compares
// that time with the time to read the file with encoding/csv and to copy the file. The account is held, so that
// sending is not part of the time. In the last round, it checks that tuma results has every row with the expected
// status.
//
//	go run ./internal/test/bench file -n 1000000,100000 -rounds 5
func fileRole(ctx context.Context, args []string) error {
	o := fileOptions{sizes: []int{100_000, 1_000_000}}
	f := flag.NewFlagSet("bench file", flag.ContinueOnError)
	f.Func("n", "recipients (default 100000,1000000)", intList(&o.sizes))
	f.IntVar(&o.rounds, "rounds", 5, "number of rounds")
	if err := f.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tuma-file-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o.dir, o.binary = dir, filepath.Join(dir, "tuma")
	if err := buildBoth(ctx, flowOptions{dir: dir, binary: o.binary, traced: filepath.Join(dir, "traced")}); err != nil {
		return err
	}
	var b bounds
	for _, n := range o.sizes {
		ratio, err := measureFile(ctx, o, n)
		if err != nil {
			return err
		}
		// For fewer rows, the start of two processes and the wake-up of a worker take most of the time.
		b.check(n < minBoundRows || ratio <= maxFileRatio, "%d rows took %.2f times as long as reading and copying them, must be at most %d times", n, ratio, maxFileRatio)
	}
	if len(b.broken) > 0 {
		return errors.New(b.broken[0])
	}
	return nil
}

// fileFigures are the figures of one round. Peaks are in bytes.
type fileFigures struct {
	copied, enqueued, planned      time.Duration
	copyCPU, sendCPU, workerCPU    time.Duration
	redisCPU                       time.Duration
	copyPeak, sendPeak, workerPeak int64
}

func (f fileFigures) ratio() float64 { return (f.enqueued + f.planned).Seconds() / f.copied.Seconds() }

func measureFile(ctx context.Context, o fileOptions, n int) (float64, error) {
	file := filepath.Join(o.dir, "dirty.csv")
	if err := writeDirty(file, n); err != nil {
		return 0, err
	}
	var all []fileFigures
	for i := range o.rounds {
		f, err := fileRound(ctx, o, file, n, i == o.rounds-1)
		if err != nil {
			return 0, err
		}
		fmt.Printf("round %d: copy %.2f s, enqueue %.2f s, plan %.2f s, ratio %.2f; CPU-s: copy %.2f, send %.2f, worker %.2f, redis %.2f\n", i+1,
			f.copied.Seconds(), f.enqueued.Seconds(), f.planned.Seconds(), f.ratio(), f.copyCPU.Seconds(), f.sendCPU.Seconds(), f.workerCPU.Seconds(), f.redisCPU.Seconds())
		all = append(all, f)
	}
	ratios := make([]float64, len(all))
	var send, work, bare int64
	for i, f := range all {
		ratios[i] = f.ratio()
		send, work, bare = max(send, f.sendPeak), max(work, f.workerPeak), max(bare, f.copyPeak)
	}
	slices.Sort(ratios)
	ratio := ratios[len(ratios)/2]
	fmt.Printf("\n%d rows, a tenth of them dirty, medians of %d rounds; every row has the expected result\n", n, o.rounds)
	seconds := func(of func(fileFigures) time.Duration) float64 {
		v := make([]time.Duration, len(all))
		for i, f := range all {
			v[i] = of(f)
		}
		slices.Sort(v)
		return v[len(v)/2].Seconds()
	}
	fmt.Printf("  encoding/csv, read and copy     %6.2f s   peak %3d MB\n", seconds(func(f fileFigures) time.Duration { return f.copied }), bare>>20)
	fmt.Printf("  tuma send, until enqueued       %6.2f s   peak %3d MB\n", seconds(func(f fileFigures) time.Duration { return f.enqueued }), send>>20)
	fmt.Printf("  tuma worker, until planned      %6.2f s   peak %3d MB\n", seconds(func(f fileFigures) time.Duration { return f.planned }), work>>20)
	fmt.Printf("  ratio                           %6.2f     (target: at most %d)\n\n", ratio, maxFileRatio)
	return ratio, nil
}

func writeDirty(file string, n int) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(dirtylist.Write(f, n), f.Close())
}

// fileRound copies the file, and then sends it with a new redis-server and worker. If the parameter "look" is
// true, it also checks the results.
func fileRound(ctx context.Context, o fileOptions, file string, n int, look bool) (f fileFigures, err error) {
	begun := time.Now()
	p, err := startRole("copy", "", file, filepath.Join(o.dir, "copy.csv"))
	if err != nil {
		return f, err
	}
	if err := p.Wait(); err != nil {
		return f, fmt.Errorf("copy: %w", err)
	}
	f.copied = time.Since(begun)
	f.copyCPU, f.copyPeak = p.usage()

	r, err := newFlowRig(ctx, flowOptions{dir: o.dir, binary: o.binary}, flowSetup{accounts: []flowAccount{{gateway: measured, rate: "0"}}, workers: 1})
	if err != nil {
		return f, err
	}
	defer r.end()
	if output, err := r.command("hold", measured).CombinedOutput(); err != nil {
		return f, fmt.Errorf("hold: %w: %s", err, output)
	}
	redisBefore, err := r.redis.cpu(ctx)
	if err != nil {
		return f, err
	}
	begun = time.Now()
	cmd := r.command("send", "--id", "file", "--via", measured, "--country", dirtylist.Country, "--body", body, "--file", file)
	cmd.Stderr = os.Stderr
	sender, err := process.Start(cmd)
	if err == nil {
		err = sender.Wait()
	}
	if err != nil {
		return f, fmt.Errorf("send: %w", err)
	}
	send := &child{Process: sender}
	f.enqueued = time.Since(begun)
	f.sendCPU, f.sendPeak = send.usage()
	begun = time.Now()
	if err := waitUntilPlanned(ctx, r); err != nil {
		return f, err
	}
	f.planned = time.Since(begun)
	redisAfter, err := r.redis.cpu(ctx)
	if err != nil {
		return f, err
	}
	f.redisCPU = redisAfter - redisBefore
	w := r.workers[0]
	_ = w.Signal(syscall.SIGTERM) // Wait returns the error
	if err := w.Wait(); err != nil {
		return f, fmt.Errorf("worker: %w", err)
	}
	f.workerCPU, f.workerPeak = w.usage()
	if look {
		err = checkResults(r, n)
	}
	return f, err
}

// waitUntilPlanned waits until the campaign is planned, for five minutes at most.
func waitUntilPlanned(ctx context.Context, r *flowRig) error {
	return poll(ctx, 5*time.Minute, "the plan", func() (bool, error) {
		st, err := r.client.Status(ctx, "file")
		return err == nil && st.State != producer.Planning, err
	})
}

// checkResults reads the output of tuma results, and compares each of the n rows with the
// result that internal/test/dirtylist expects for it.
func checkResults(r *flowRig, n int) error {
	cmd := r.command("results", "file")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	in := csv.NewReader(bufio.NewReaderSize(out, 64<<10))
	in.ReuseRecord = true
	header, err := in.Read()
	if err != nil {
		return err
	}
	at := map[string]int{}
	for i, name := range header {
		at[name] = i
	}
	rows := 0
	for ; ; rows++ {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		want := dirtylist.At(rows)
		status, msisdn := "pending", strconv.FormatUint(want.MSISDN, 10)
		if want.Reason != "" {
			status = "skipped"
		}
		if want.MSISDN == 0 {
			msisdn = ""
		}
		if row[at["row"]] != strconv.Itoa(rows+1) || row[at["status"]] != status || row[at["reason"]] != want.Reason ||
			row[at["code"]] != want.Code || row[at["msisdn"]] != msisdn {
			return fmt.Errorf("row %d of the results, number %q: got %q; want status %s, reason %q, code %q and msisdn %q", rows+1, want.Text, row, status, want.Reason, want.Code, msisdn)
		}
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("results: %w", err)
	}
	if rows != n {
		return fmt.Errorf("the results have %d rows, must be %d", rows, n)
	}
	return nil
}

// copyRole copies a CSV with encoding/csv. It ignores its first argument. The second and the third argument are
// the source and the destination.
func copyRole(_ context.Context, args []string) error {
	from, err := os.Open(args[1])
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.Create(args[2])
	if err != nil {
		return err
	}
	in, out := csv.NewReader(bufio.NewReaderSize(from, 64<<10)), csv.NewWriter(bufio.NewWriterSize(to, 64<<10))
	in.Comma, in.ReuseRecord, in.FieldsPerRecord = ';', true, -1
	out.Comma = ';'
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return errors.Join(out.Error(), to.Close())
}
