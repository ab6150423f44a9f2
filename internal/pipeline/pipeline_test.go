package pipeline

import (
	"errors"
	"iter"
	"runtime"
	"sync/atomic"
	"testing"
)

func countTo(n int, then error) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range n {
			if !yield(i, nil) {
				return
			}
		}
		if then != nil {
			yield(0, then)
		}
	}
}

func TestPrefetch_YieldsTheSameSequence(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, steps := range []int{0, 1, 5} {
		n, last := 0, error(nil)
		for i, err := range Prefetch(steps, countTo(10, broken)) {
			if last = err; err == nil && i != n {
				t.Fatalf("got %d at index %d, want %d", i, n, n)
			} else if err == nil {
				n++
			}
		}
		if n != 10 || !errors.Is(last, broken) {
			t.Errorf("%d steps: got %d values, error %v, want 10 values and the error of the sequence", steps, n, last)
		}
	}
}

func TestPrefetch_EndsWithItsConsumer(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	endless := func(yield func(int, error) bool) {
		defer close(ended)
		for i := 0; yield(i, nil); i++ {
		}
	}
	for i, err := range Prefetch(2, endless) {
		if err != nil || i == 3 {
			break
		}
	}
	select {
	case <-ended:
	default:
		t.Error("the sequence is still running")
	}
}

func TestParallelMap_YieldsInOrder(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, most := range []int{1, 2, 20} {
		var running atomic.Int32
		double := func(i int) int {
			if n := running.Add(1); int(n) > most {
				t.Errorf("%d calls at once, want at most %d", n, most)
			}
			defer running.Add(-1)
			if i%2 == 0 {
				runtime.Gosched() // this lets the next call overtake the current call
			}
			return 2 * i
		}
		n, last := 0, error(nil)
		for i, err := range ParallelMap(most, countTo(10, broken), double) {
			if last = err; err == nil && i != 2*n {
				t.Fatalf("got %d at index %d, want %d", i, n, 2*n)
			} else if err == nil {
				n++
			}
		}
		if n != 10 || !errors.Is(last, broken) {
			t.Errorf("%d at once: got %d values, error %v, want 10 values and the error of the sequence", most, n, last)
		}
		for range ParallelMap(most, countTo(10, nil), double) {
			break
		}
		if n := running.Load(); n != 0 {
			t.Errorf("%d calls are still running, want 0", n)
		}
	}
}

func TestPipeline_PanicsReachTheCaller(t *testing.T) {
	t.Parallel()
	caught := func(do func()) (p any) {
		defer func() { p = recover() }()
		do()
		return nil
	}
	p := caught(func() {
		for i, err := range Prefetch(1, func(yield func(int, error) bool) { panic("ahead") }) {
			t.Error(i, err)
		}
	})
	q := caught(func() {
		_, err := Start(func() (int, error) { panic("behind") }).Wait()
		t.Error(err)
	})
	r := caught(func() {
		for i, err := range Prefetch(1, ParallelMap(2, countTo(9, nil), func(int) int { panic("abreast") })) {
			t.Error(i, err)
		}
	})
	if p != "ahead" || q != "behind" || r != "abreast" {
		t.Errorf("got panics %v, %v and %v, want ahead, behind and abreast", p, q, r)
	}
	var none *Future[int]
	if n, err := none.Wait(); n != 0 || err != nil {
		t.Errorf("wait on a nil future: got %d, %v, want 0, nil", n, err)
	}
}
