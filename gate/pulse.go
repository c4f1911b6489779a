package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// quiet is how long a run says nothing at most.
const quiet = 30 * time.Second

// pulse keeps a run from being silent: what takes long shows its last line now and then.
type pulse struct {
	mu    sync.Mutex
	out   io.Writer
	name  string
	start time.Time
	shown time.Time
	tail  []string
	end   chan struct{}
	ended chan struct{}
}

func newPulse(out io.Writer, name string) *pulse {
	p := &pulse{out: out, name: name, start: time.Now(), shown: time.Now(), end: make(chan struct{}), ended: make(chan struct{})}
	go p.beat()
	return p
}

func (p *pulse) beat() {
	defer close(p.ended)
	for {
		select {
		case <-p.end:
			return
		case <-time.After(time.Second):
		}
		p.mu.Lock()
		if time.Since(p.shown) >= quiet {
			line := ""
			if len(p.tail) > 0 {
				line = p.tail[len(p.tail)-1]
			}
			p.shown = time.Now()
			fmt.Fprintf(p.out, "   … %s %s: %.120s\n", p.name, clock(time.Since(p.start)), line)
		}
		p.mu.Unlock()
	}
}

func (p *pulse) line(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if text != "" {
		p.tail = last(append(p.tail, text))
	}
}

func (p *pulse) print(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shown = time.Now()
	fmt.Fprintln(p.out, text)
}

func (p *pulse) last() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tail
}

// stop returns when nothing is printed any more.
func (p *pulse) stop() {
	close(p.end)
	<-p.ended
}
