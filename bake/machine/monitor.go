package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// monitor is the control connection to QEMU, which speaks QMP: one JSON object a line, answers in the order of the
// commands, events in between.
type monitor struct {
	conn    net.Conn
	command sync.Mutex // one command at a time
	answers chan message

	mu    sync.Mutex
	reset chan struct{} // closed at the next reset
}

type request struct {
	Execute   string            `json:"execute"`
	Arguments map[string]string `json:"arguments,omitempty"`
}

type message struct {
	Greeting json.RawMessage `json:"QMP"`
	Event    string          `json:"event"`
	Return   json.RawMessage `json:"return"`
	Error    *struct {
		Desc string `json:"desc"`
	} `json:"error"`
}

const commandLimit = 10 * time.Second

// newMonitor takes over our end of the socket and waits for QEMU to greet.
func newMonitor(socket *os.File, limit time.Duration) (*monitor, error) {
	conn, err := net.FileConn(socket)
	_ = socket.Close() // FileConn has made its own descriptor
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	q := &monitor{conn: conn, answers: make(chan message), reset: make(chan struct{})}
	go q.read()
	if _, err := q.answer(limit); err != nil { // the greeting
		q.close()
		return nil, err
	}
	if err := q.execute("qmp_capabilities"); err != nil {
		q.close()
		return nil, err
	}
	return q, nil
}

func (q *monitor) close() { _ = q.conn.Close() }

// read sorts what QEMU says until it has no more to say.
func (q *monitor) read() {
	defer close(q.answers)
	for d := json.NewDecoder(q.conn); ; {
		var m message
		if err := d.Decode(&m); err != nil {
			return
		}
		if m.Event == "" {
			q.answers <- m
		} else if m.Event == "RESET" {
			q.mu.Lock()
			close(q.reset)
			q.reset = make(chan struct{})
			q.mu.Unlock()
		}
	}
}

func (q *monitor) nextReset() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.reset
}

func (q *monitor) answer(limit time.Duration) (message, error) {
	select {
	case m, ok := <-q.answers:
		if !ok {
			return message{}, errors.New("QEMU closed its control socket")
		}
		return m, nil
	case <-time.After(limit):
		q.close() // a late answer would be taken for that of the next command
		return message{}, fmt.Errorf("QEMU did not answer on its control socket within %s", limit)
	}
}

func (q *monitor) execute(command string) error {
	_, err := q.ask(command, nil)
	return err
}

func (q *monitor) ask(command string, arguments map[string]string) (json.RawMessage, error) {
	q.command.Lock()
	defer q.command.Unlock()
	line, err := json.Marshal(request{command, arguments})
	if err != nil {
		return nil, err
	}
	if _, err := q.conn.Write(append(line, '\n')); err != nil {
		return nil, fmt.Errorf("QEMU: %s: %w", command, err)
	}
	m, err := q.answer(commandLimit)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", command, err)
	}
	if m.Error != nil {
		return nil, fmt.Errorf("QEMU: %s: %s", command, m.Error.Desc)
	}
	return m.Return, nil
}

// ports asks which ports of this host lead to which ports of the guest. QEMU tells it to people only: a table with a line
// such as "  TCP[HOST_FORWARD]  12       127.0.0.1 40961       10.0.2.15    22     0     0".
func (q *monitor) ports() (map[int]string, error) {
	raw, err := q.ask("human-monitor-command", map[string]string{"command-line": "info usernet"})
	if err != nil {
		return nil, err
	}
	var table string
	if err := json.Unmarshal(raw, &table); err != nil {
		return nil, fmt.Errorf("QEMU: info usernet: %w", err)
	}
	row := regexp.MustCompile(`TCP\[HOST_FORWARD\]\s+\d+\s+\S+\s+(\d+)\s+\S+\s+(\d+)`)
	ports := map[int]string{}
	for _, m := range row.FindAllStringSubmatch(table, -1) {
		host, _ := strconv.Atoi(m[1])
		guest, _ := strconv.Atoi(m[2])
		ports[guest] = loopback(host)
	}
	if ports[sshPort] == "" {
		return nil, fmt.Errorf("QEMU: info usernet: no port that leads to SSH in %q", table)
	}
	return ports, nil
}
