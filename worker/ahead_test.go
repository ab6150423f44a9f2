package worker

import (
	"errors"
	"fmt"
	"iter"
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

func TestAheadYieldsTheSame(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, steps := range []int{0, 1, 5} {
		n, last := 0, error(nil)
		for i, err := range ahead(steps, countTo(10, broken)) {
			if last = err; err == nil && i != n {
				t.Fatalf("%d is in place %d", i, n)
			} else if err == nil {
				n++
			}
		}
		if n != 10 || !errors.Is(last, broken) {
			t.Errorf("%d steps ahead: %d, %v", steps, n, last)
		}
	}
}

func TestAheadEndsWithWhoeverTakes(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	endless := func(yield func(int, error) bool) {
		defer close(ended)
		for i := 0; yield(i, nil); i++ {
		}
	}
	for i, err := range ahead(2, endless) {
		if err != nil || i == 3 {
			break
		}
	}
	select {
	case <-ended:
	default:
		t.Error("it goes on behind the caller's back")
	}
}

func TestAPanicAheadOrBehindIsTheCallers(t *testing.T) {
	t.Parallel()
	caught := func(do func()) (p any) {
		defer func() { p = recover() }()
		do()
		return nil
	}
	p := caught(func() {
		for i, err := range ahead(1, func(yield func(int, error) bool) { panic("ahead") }) {
			t.Error(i, err)
		}
	})
	q := caught(func() {
		_, err := goBehind(func() (int, error) { panic("behind") }).wait()
		t.Error(err)
	})
	if fmt.Sprint(p, q) != "ahead behind" && fmt.Sprint(p, q) != "aheadbehind" {
		t.Errorf("caught %v and %v", p, q)
	}
	var none *behind[int]
	if n, err := none.wait(); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}
