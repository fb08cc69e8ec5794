// Holds three files of 15 MiB each that have no name, as its argument says: open in a thread of a process whose first thread has ended,
// called as files in memory are, mapped alone, executed alone, or under way from one socket to another.
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __aarch64__
#define MACHINE EM_AARCH64
#else
#define MACHINE EM_X86_64
#endif

static const char *how;

static int is(const char *word) { return strcmp(how, word) == 0; }

static void fill(int file) {
    static char bytes[1 << 20];
    memset(bytes, 1, sizeof bytes);
    for (int i = 0; i < 15; i++) if (write(file, bytes, sizeof bytes) < 0) exit(1);
}

static int unnamed(const char *name) {
    int file = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (file < 0 || unlink(name) != 0) exit(2);
    fill(file);
    return file;
}

static void map(int file, long number) {
    // Addresses of seven digits, too.
    void *at = is("low") ? (void *)(0x1000000 + number * 0x10000) : NULL;
    if (mmap(at, 4096, PROT_READ, MAP_SHARED | (at ? MAP_FIXED_NOREPLACE : 0), file, 0) == MAP_FAILED) exit(3);
    close(file);
}

// What runs is its interpreter; of the file itself nothing is mapped.
static void execute(const char *name) {
    static const char interpreter[] = "/bin/busybox";
    struct { Elf64_Ehdr head; Elf64_Phdr parts[2]; char interpreter[sizeof interpreter]; } program = {0};
    int file = open(name, O_WRONLY | O_CREAT | O_EXCL, 0700);
    memcpy(program.head.e_ident, ELFMAG "\2\1\1", 7);
    program.head.e_type = ET_EXEC;
    program.head.e_machine = MACHINE;
    program.head.e_phoff = sizeof program.head;
    program.head.e_phentsize = sizeof program.parts[0];
    program.head.e_phnum = 2;
    program.parts[0].p_type = PT_INTERP;
    program.parts[0].p_offset = sizeof program.head + sizeof program.parts;
    program.parts[0].p_filesz = sizeof interpreter;
    program.parts[1].p_type = PT_LOAD;
    program.parts[1].p_vaddr = 0x10000;
    program.parts[1].p_memsz = 4096;
    memcpy(program.interpreter, interpreter, sizeof interpreter);
    if (file < 0 || write(file, &program, sizeof program) != sizeof program) exit(4);
    fill(file);
    close(file);
    if (fork() == 0) {
        execl(name, "sh", "-c", "rm /work/file; sleep 1000", NULL);
        _exit(5);
    }
    while (access(name, F_OK) == 0) usleep(1000);
}

// With a file, sends it; without one, receives it.
static int pass(int socket, int file) {
    char space[CMSG_SPACE(sizeof file)] = {0}, byte = '.';
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof file);
    memcpy(CMSG_DATA(header), &file, sizeof file);
    if ((file < 0 ? recvmsg(socket, &message, 0) : sendmsg(socket, &message, 0)) != 1) exit(6);
    if (file >= 0) return close(file);
    memcpy(&file, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof file);
    return file;
}

static void sent(int file) {
    int pairs[8][2];
    for (int i = 0; i < 8; i++) if (socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]) != 0) exit(7);
    pass(pairs[0][0], file);
    for (int at = 0; is("moving"); at = (at + 1) % 8) {
        usleep(500);
        pass(pairs[(at + 1) % 8][0], pass(pairs[at][1], -1));
    }
}

static void *hold(void *unused) {
    for (long number = 0; number < 3; number++) {
        if (is("executed")) {
            execute("/work/file");
            continue;
        }
        int file = unnamed(is("named") ? "/memfd:file" : "/work/file");
        if (is("mapped") || is("low")) map(file, number);
        if (is("sent") || is("moving")) sent(file);
    }
    for (;;) pause();
    return unused;
}

int main(int count, char **words) {
    pthread_t thread;
    how = words[count - 1];
    if (!is("thread")) hold(NULL);
    if (pthread_create(&thread, NULL, hold, NULL) != 0) return 8;
    pthread_exit(NULL);
}
