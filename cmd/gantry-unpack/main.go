// Command gantry-unpack installs a bundle's programs on a server. It is uploaded
// before the bundle, so that a bare server needs neither tar nor zstd. A master
// keeps both, and hands the bundle on to servers that join.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gantry-run/gantry/bootstrap/bundle/archive"
	"github.com/gantry-run/gantry/bootstrap/bundle/share"
)

func main() {
	path := flag.String("archive", "", "the bundle")
	dir := flag.String("dir", "", "where the programs go")
	sums := flag.String("sums", "", "where the SHA-256 of the programs are kept; empty is nowhere")
	digest := flag.String("digest", "", "the digest of the bundle's manifest")
	from := flag.String("from", "", "host:port of the server that hands the bundle on")
	serve := flag.String("serve", "", "host:port at which the archive is handed on, as long as somebody reads what this prints")
	flag.Parse()
	err := run(*path, *dir, *sums, *digest, *from, *serve)
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "gantry-unpack:", err)
	if errors.Is(err, share.ErrFetch) {
		os.Exit(share.ExitFetch)
	}
	os.Exit(1)
}

func run(path, dir, sums, digest, from, serve string) error {
	switch {
	case serve != "" && path != "" && digest != "":
		return handOn(path, digest, serve)
	case from != "" && dir != "" && digest != "":
		return share.Install(context.Background(), from, digest, dir, sums)
	case path != "" && dir != "":
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return archive.Install(f, dir, sums, digest)
	}
	return errors.New("needed are -archive and -dir, or -from, -digest and -dir, or -serve, -digest and -archive")
}

// handOn ends with the connection over which it was started: nobody reads then.
func handOn(path, digest, address string) error {
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		defer stop()
		for {
			if _, err := os.Stdout.WriteString("."); err != nil {
				return
			}
			time.Sleep(500 * time.Millisecond)
		}
	}()
	l, err := share.Listen(ctx, address)
	if err != nil {
		return err
	}
	return share.Serve(ctx, l, path, digest)
}
