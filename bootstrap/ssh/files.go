package ssh

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/pkg/sftp"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// newSuffix marks a file that is being written; a leftover is overwritten.
const newSuffix = ".gantry-new"

const readScript = `i=0; for f; do if [ -f "$f" ]; then echo "$i $(base64 -w0 <"$f")" || exit 1; fi; i=$((i+1)); done`

// ReadFiles reads all the files in one round trip. What it read is never logged.
func (h *Host) ReadFiles(ctx context.Context, paths ...string) (map[string][]byte, error) {
	out, err := h.Run(ctx, host.Command{Argv: host.Shell("read-files", readScript, paths...).Argv, Secret: true})
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	err = eachLine(out, func(fields []string) error {
		path, err := indexed(paths, fields[0])
		if err != nil {
			return err
		}
		encoded := ""
		if len(fields) > 1 {
			encoded = fields[1]
		}
		files[path], err = base64.StdEncoding.DecodeString(encoded)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: read files: %w", h.name, err)
	}
	return files, nil
}

// The sum of a large file is kept in a directory that no reboot survives, with the
// times and the inode that it was true for: a program of 100 MB is not read again
// by each plan. A change of content always changes ctime, which nobody can set.
const statScript = `cache=$1; shift
sum() {
  case "$cache" in ?*) ;; *) sha256sum <"$1"; return ;; esac
  key=$(stat -L -c '%s.%i.%.9Y.%.9Z' "$1") || return 1
  if [ "${key%%.*}" -lt 1000000 ] || ! [ -d "${cache%/*}" ]; then sha256sum <"$1"; return; fi
  kept=$cache/$(printf %s "$1" | tr / _)
  if [ -f "$kept" ] && read -r k s <"$kept" && [ "$k" = "$key" ]; then echo "$s"; return; fi
  s=$(sha256sum <"$1") || return 1
  mkdir -p -m 0700 "$cache" && echo "$key ${s%% *}" >"$kept"
  echo "$s"
}
i=0; for f; do
if [ -e "$f" ]; then
  sum=-; if [ -f "$f" ]; then sum=$(sum "$f") || exit 1; fi
  echo "$i $(stat -L -c '%f %s' "$f") $sum"
fi; i=$((i+1)); done`

// Stat describes all the paths in one round trip.
func (h *Host) Stat(ctx context.Context, paths ...string) (map[string]host.FileInfo, error) {
	out, err := h.Run(ctx, host.Shell("stat-files", statScript, append([]string{h.sums}, paths...)...))
	if err != nil {
		return nil, err
	}
	infos := map[string]host.FileInfo{}
	err = eachLine(out, func(fields []string) error {
		if len(fields) < 4 {
			return fmt.Errorf("unexpected line %q", strings.Join(fields, " "))
		}
		path, errPath := indexed(paths, fields[0])
		mode, errMode := strconv.ParseUint(fields[1], 16, 32)
		size, errSize := strconv.ParseInt(fields[2], 10, 64)
		for _, err := range []error{errPath, errMode, errSize} {
			if err != nil {
				return err
			}
		}
		info := host.FileInfo{Mode: fs.FileMode(mode & 0o777), Size: size}
		const typeMask, directory = 0xf000, 0x4000
		if mode&typeMask == directory {
			info.Mode |= fs.ModeDir
		} else {
			info.SHA256 = strings.Trim(fields[3], "-")
		}
		infos[path] = info
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: stat files: %w", h.name, err)
	}
	return infos, nil
}

// Each line of the input is the content of the file that the next two arguments
// name, with its mode. A last line says that it is the whole input: to the script
// a cut connection looks like the end of file. All contents are on disk before the
// first file is replaced.
const writeScript = `umask 077; n=$#
while [ $n -gt 0 ]; do
  mode=$1 path=$2; shift 2; n=$((n-2)); set -- "$@" "$path"
  read -r data && printf %s "$data" | base64 -d >"$path` + newSuffix + `" && chmod "$mode" "$path` + newSuffix + `" || exit 1
done
read -r data && [ "$data" = end ] || exit 1
for f; do set -- "$@" "$f` + newSuffix + `"; shift; done; sync "$@" || exit 1
for f; do mv -fT "$f" "${f%` + newSuffix + `}" || exit 1; done`

// WriteFiles replaces small files in one round trip.
func (h *Host) WriteFiles(ctx context.Context, files ...host.File) error {
	if len(files) == 0 {
		return nil
	}
	var input bytes.Buffer
	var args, paths []string
	for _, f := range files {
		args, paths = append(args, octal(f.Mode), f.Path), append(paths, f.Path)
		input.WriteString(base64.StdEncoding.EncodeToString(f.Data) + "\n")
	}
	input.WriteString("end\n")
	c := host.Shell("write-files", writeScript, args...)
	c.Stdin, c.Secret = input.Bytes(), true
	if _, err := h.Run(ctx, c); err != nil {
		return fmt.Errorf("write %s: %w", strings.Join(paths, ", "), err)
	}
	return nil
}

// An upload of a user other than root lies in a staging file first, since SFTP
// acts with that user's rights.
const placeScript = `new="$1` + newSuffix + `"
if [ "$3" != "$new" ]; then install -m 0600 -o 0 -g 0 "$3" "$new" && rm -f "$3" || exit 1; fi
chmod "$2" "$new" && sync "$new" && mv -fT "$new" "$1"`

// Upload streams a large file over SFTP with many packets in flight.
func (h *Host) Upload(ctx context.Context, path string, r io.Reader, mode fs.FileMode, progress func(int64)) error {
	client, err := h.sftpClient()
	if err != nil {
		return fmt.Errorf("upload %s: %w", path, err)
	}
	staging := path + newSuffix
	if h.user != "root" {
		var id [8]byte
		rand.Read(id[:]) //nolint:errcheck // never fails
		staging = "/tmp/gantry-upload-" + hex.EncodeToString(id[:])
	}
	if err := h.send(ctx, client, staging, &counter{ctx: ctx, r: r, progress: progress}); err != nil {
		client.Remove(staging)        //nolint:errcheck // the first error is the one that tells
		var refused *sftp.StatusError // the host answered: a full disk, a missing directory
		if !errors.As(err, &refused) && ctx.Err() == nil {
			err = h.lost("send "+staging, err)
		}
		return fmt.Errorf("%s: upload %s: %w", h.name, path, err)
	}
	if _, err := h.Run(ctx, host.Shell("place-file", placeScript, path, octal(mode), staging)); err != nil {
		return fmt.Errorf("upload %s: %w", path, err)
	}
	return nil
}

func (h *Host) send(ctx context.Context, client *sftp.Client, path string, r *counter) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if h.user != "root" {
		flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL // /tmp is everybody's
	}
	f, err := client.OpenFile(path, flags)
	if err != nil {
		return err
	}
	unhook := context.AfterFunc(ctx, func() { f.Close() })
	defer unhook()
	if err := f.Chmod(0o600); err != nil {
		f.Close()
		return err
	}
	if _, err := f.ReadFromWithConcurrency(r, 64); err != nil {
		f.Close()
		return cause(ctx, err)
	}
	return f.Close()
}

func (h *Host) sftpClient() (*sftp.Client, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sftp != nil {
		return h.sftp, nil
	}
	client, err := sftp.NewClient(h.client, sftp.UseConcurrentWrites(true))
	if err != nil {
		return nil, h.lost("start SFTP (is the sftp subsystem of sshd on?)", err)
	}
	h.sftp = client
	return client, nil
}

// counter tells progress and ends the upload when ctx is done.
type counter struct {
	ctx      context.Context
	r        io.Reader
	n        int64
	progress func(int64)
}

func (c *counter) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.n += int64(n)
	if c.progress != nil && n > 0 {
		c.progress(c.n)
	}
	return n, err
}

func octal(mode fs.FileMode) string { return fmt.Sprintf("%04o", mode.Perm()) }

func indexed(paths []string, s string) (string, error) {
	i, err := strconv.Atoi(s)
	if err != nil || i < 0 || i >= len(paths) {
		return "", fmt.Errorf("unexpected index %q", s)
	}
	return paths[i], nil
}

func eachLine(out []byte, f func(fields []string) error) error {
	s := bufio.NewScanner(bytes.NewReader(out))
	s.Buffer(nil, len(out)+1)
	for s.Scan() {
		if fields := strings.Fields(s.Text()); len(fields) > 0 {
			if err := f(fields); err != nil {
				return err
			}
		}
	}
	return s.Err()
}
