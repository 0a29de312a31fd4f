// Globs match what data-model says, as a slow and simple matcher does, and no pattern is slow.

#include "proto/model/glob.h"

#include "proto/base/limits.h"
#include "proto/base/random.h"
#include "tests/unit/check_main.h"
#include "tests/unit/sample_bytes.h"

static struct glob *compile(struct bytes pattern)
{
    struct bytes copy = exact_copy(pattern);
    struct glob *glob = NULL;
    struct reason reason = {0};
    int err = glob_compile(copy, &glob, &reason);
    ck_assert_msg(err == 0, "%.*s: %s", (int)pattern.length, (const char *)pattern.data,
                  reason.text);
    exact_free(copy);
    return glob;
}

static bool matches(const struct glob *glob, struct bytes name)
{
    struct bytes copy = exact_copy(name);
    bool is_match = glob_matches(glob, copy);
    bool is_exact;
    struct bytes prefix = glob_prefix(glob, &is_exact);
    bool has_prefix =
        name.length >= prefix.length && bytes_equal(bytes_of(name.data, prefix.length), prefix);
    if ((is_match && !has_prefix) || (is_exact && is_match != bytes_equal(name, prefix))) {
        ck_abort_msg("%.*s: not what the prefix says", (int)name.length, (const char *)name.data);
    }
    exact_free(copy);
    return is_match;
}

static void check_names(const char *pattern, const char *const *names, bool expected)
{
    struct glob *glob = compile(bytes_of_text(pattern));
    for (; *names; names++) {
        ck_assert_msg(matches(glob, bytes_of_text(*names)) == expected, "%s %s %s", pattern,
                      expected ? "does not match" : "matches", *names);
    }
    glob_free(glob);
}

#define MATCHES(pattern, ...) check_names(pattern, (const char *const[]){__VA_ARGS__, NULL}, true)
#define REFUSES(pattern, ...) check_names(pattern, (const char *const[]){__VA_ARGS__, NULL}, false)

START_TEST(literal_patterns_match_themselves)
{
    MATCHES("/orders/eu", "/orders/eu");
    REFUSES("/orders/eu", "/orders/e", "/orders/eu/", "/orders/EU", "orders/eu", "/orders/eux");
    MATCHES("/", "/");
    MATCHES("a//b", "a//b");
    MATCHES("/.hidden/x", "/.hidden/x");
}
END_TEST

START_TEST(star_and_question_mark_stay_within_a_component)
{
    MATCHES("/a/*", "/a/b", "/a/bcd", "/a/");
    REFUSES("/a/*", "/a", "/a/b/c", "/b/b");
    MATCHES("/a/*/c", "/a/b/c", "/a//c");
    REFUSES("/a/*/c", "/a/c", "/a/b/b/c");
    MATCHES("*", "a", "abc");
    REFUSES("*", "/a", "a/b");
    MATCHES("*a*b*", "ab", "xaxbx", "aab", "abab");
    REFUSES("*a*b*", "ba", "a", "b");
    MATCHES("a?c", "abc",
            "a\xc3\xa9"
            "c",
            "a\xf0\x9f\x98\x80"
            "c");
    REFUSES("a?c", "ac", "abbc", "a/c");
    MATCHES("*.txt", "a.txt", "a.b.txt");
    REFUSES("*.txt", "a.txt.b", "txt");
}
END_TEST

START_TEST(double_star_matches_any_number_of_components)
{
    MATCHES("/foo/**/bar", "/foo/bar", "/foo/x/bar", "/foo/x/y/bar", "/foo/bar/bar", "/foo//bar");
    REFUSES("/foo/**/bar", "/foobar", "/foo/xbar", "/foo/bar/x", "/foo", "foo/bar");
    MATCHES("/food/**", "/food/a", "/food/a/b", "/food/");
    REFUSES("/food/**", "/food", "/foo/a", "/foods/a");
    MATCHES("**/bar", "bar", "/bar", "a/bar", "/a/b/bar");
    REFUSES("**/bar", "xbar", "/xbar", "bar/x");
    MATCHES("/**/a/**/b/**", "/a/b/c", "/x/a/y/b/z", "/a/a/b/b/b");
    REFUSES("/**/a/**/b/**", "/a/b", "/b/a/c", "/x/a/y/b");
    MATCHES("/a/**/**/b", "/a/b", "/a/x/b");
    MATCHES("/a/**/**", "/a/b", "/a/b/c");
    REFUSES("/a/**/**", "/a");
    MATCHES("/**", "/a", "/a/b", "/");
    REFUSES("/**", "a", "a/b");
}
END_TEST

START_TEST(classes_match_one_character)
{
    MATCHES("[abc]", "a", "b", "c");
    REFUSES("[abc]", "d", "ab", "A");
    MATCHES("[a-cx]1", "a1", "b1", "x1");
    REFUSES("[a-cx]1", "d1", "-1");
    MATCHES("[!a]", "b", "]", "!", "\xc3\xa9");
    REFUSES("[!a]", "a", "bb");
    MATCHES("[]a]", "]", "a");
    MATCHES("[!]a]", "b");
    REFUSES("[!]a]", "]", "a");
    MATCHES("[a-]", "a", "-");
    MATCHES("[-a]", "a", "-");
    MATCHES("[\\]]", "]");
    REFUSES("[\\]]", "\\");
    MATCHES("[a\\-c]", "a", "-", "c");
    REFUSES("[a\\-c]", "b");
    MATCHES("[\xc3\xa0-\xc3\xbf]x", "\xc3\xa9x");
    REFUSES("[\xc3\xa0-\xc3\xbf]x", "ex", "\xc3x");
    MATCHES("[**]", "*");
    MATCHES("x[^a]", "x^", "xa");
}
END_TEST

START_TEST(classes_never_match_a_slash)
{
    REFUSES("a[/]b", "a/b");
    REFUSES("a[!x]b", "a/b");
    REFUSES("a[+-9]b", "a/b");
    MATCHES("a[+-9/]b", "a5b");
}
END_TEST

START_TEST(a_leading_dot_is_matched_literally)
{
    REFUSES("*", ".a");
    REFUSES("?a", ".a");
    REFUSES("[.]a", ".a");
    REFUSES("[!x]a", ".a");
    REFUSES("/*/b", "/.a/b");
    MATCHES(".*", ".a", ".");
    MATCHES("/.?/b", "/.a/b");
    MATCHES("\\.*", ".a");
    MATCHES("*.txt", ".txt");
    REFUSES("*?.txt", ".a.txt");
    MATCHES("a*", "a.b", "a.");
    MATCHES("a?b", "a.b");
    REFUSES("/food/**", "/food/.a", "/food/a/.b", "/food/.a/b");
    REFUSES("/food/**/x", "/food/.a/x");
    MATCHES("/food/**/.a/*", "/food/.a/b", "/food/x/.a/b");
    REFUSES("**/a", ".b/a");
}
END_TEST

START_TEST(double_star_tries_later_places_when_a_dot_bars_the_first)
{
    MATCHES("**/?*/*.x/**/y", "b/a.x/.x/y");
}
END_TEST

START_TEST(backslash_takes_the_next_character_literally)
{
    MATCHES("a\\*b", "a*b");
    REFUSES("a\\*b", "axb", "a\\*b");
    MATCHES("\\[a]", "[a]");
    MATCHES("\\\\", "\\");
    MATCHES("\\a", "a");
    MATCHES("a\\/b", "a/b");
    MATCHES("\\*\\*", "**");
    MATCHES("\\?*", "?x");
}
END_TEST

START_TEST(everything_is_everything_but_the_systems)
{
    static const char *const patterns[] = {"**", "/**/*"};
    for (size_t i = 0; i < 2; i++) {
        MATCHES(patterns[i], "a", "/a", "a/b/c", "/.a/.b", ".a", "/", "\xff", "$", "/a/$");
        REFUSES(patterns[i], "/$", "/$weir", "/$weir/a");
        struct glob *glob = compile(bytes_of_text(patterns[i]));
        bool is_exact;
        ck_assert(glob_is_everything(glob));
        ck_assert_uint_eq(glob_prefix(glob, &is_exact).length, 0);
        ck_assert(!is_exact);
        glob_free(glob);
    }
    static const char *const others[] = {"**/*", "**/**", "/**", "/**/**", "\\**", "*"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct glob *glob = compile(bytes_of_text(others[i]));
        ck_assert_msg(!glob_is_everything(glob), "%s", others[i]);
        glob_free(glob);
    }
}
END_TEST

START_TEST(system_names_need_a_pattern_that_begins_as_they_do)
{
    MATCHES("/$weir/**", "/$weir/a");
    MATCHES("/$*", "/$weir");
    REFUSES("/**", "/$weir", "/$weir/a");
    REFUSES("/*", "/$weir");
    REFUSES("/[$]weir", "/$weir");
    REFUSES("/?weir", "/$weir");
    REFUSES("**/a", "/$weir/a");
    MATCHES("/\\$weir", "/$weir");
    MATCHES("\\/$*", "/$weir");
    MATCHES("/a/*", "/a/$weir");
}
END_TEST

static void check_refused(struct bytes pattern, int expected, const char *text)
{
    struct bytes copy = exact_copy(pattern);
    struct glob *glob = NULL;
    struct reason reason = {0};
    ck_assert_msg(glob_compile(copy, &glob, &reason) == expected, "%.*s", (int)pattern.length,
                  (const char *)pattern.data);
    ck_assert_ptr_null(glob);
    ck_assert_str_eq(reason.text, text);
    ck_assert_int_eq(glob_compile(copy, &glob, NULL), expected);
    exact_free(copy);
}

START_TEST(malformed_patterns_are_refused_with_the_place)
{
    static const char *const stars[] = {"/***", "/**foo", "/foo**", "/a*/b**/c", "**a",  "a/***/b",
                                        "***",  "****",   "?**",    "**?",       "[a]**"};
    for (size_t i = 0; i < sizeof stars / sizeof stars[0]; i++) {
        struct reason reason = {0};
        struct glob *glob;
        struct bytes pattern = bytes_of_text(stars[i]);
        ck_assert_msg(glob_compile(pattern, &glob, &reason) == ERR_INVALID, "%s", stars[i]);
        ck_assert_ptr_nonnull(strstr(reason.text, "whole component"));
    }
    check_refused(bytes_of_text("/foo**"), ERR_INVALID,
                  "the pattern has \"**\" at byte 4, where it is not a whole component");
    static const char unclosed[] = "the pattern has a class, at byte 1, that is not closed by ']'";
    check_refused(bytes_of_text("/[unclosed"), ERR_INVALID, unclosed);
    check_refused(bytes_of_text("/["), ERR_INVALID, unclosed);
    check_refused(bytes_of_text("/[]"), ERR_INVALID, unclosed);
    check_refused(bytes_of_text("/[!]"), ERR_INVALID, unclosed);
    check_refused(bytes_of_text("/[a-"), ERR_INVALID, unclosed);
    check_refused(bytes_of_text("/[a\\]"), ERR_INVALID, unclosed);
    check_refused(bytes_of_text("/[a\\"), ERR_INVALID, unclosed);
    check_refused(bytes_of_text("/[c-a]"), ERR_INVALID,
                  "the pattern has a class, at byte 1, with a backward range");
    check_refused(bytes_of_text("/a\\"), ERR_INVALID, "the pattern ends with a backslash");
    check_refused(bytes_of_text(""), ERR_INVALID, "the pattern is empty");
    check_refused(bytes_of_text("/a\xff"), ERR_INVALID, "the pattern is not UTF-8 at byte 2");
    check_refused(bytes_of_text("/a\n"), ERR_INVALID,
                  "the pattern has a control character (0x0a) at byte 2");
    check_refused(bytes_of_text("/\xc2\x85"), ERR_INVALID,
                  "the pattern has a control character (0x85) at byte 1");
    uint8_t text[PATTERN_BYTES_MAX + 1];
    memset(text, 'a', sizeof text);
    check_refused(bytes_of(text, sizeof text), ERR_LIMIT,
                  "the pattern has 1025 bytes, 1024 are allowed");
}
END_TEST

static void check_prefix(const char *pattern, const char *expected, bool expected_exact)
{
    struct glob *glob = compile(bytes_of_text(pattern));
    bool is_exact;
    struct bytes prefix = glob_prefix(glob, &is_exact);
    ck_assert_msg(bytes_equal(prefix, bytes_of_text(expected)), "%s: %.*s", pattern,
                  (int)prefix.length, (const char *)prefix.data);
    ck_assert_int_eq(is_exact, expected_exact);
    glob_free(glob);
}

START_TEST(prefix_is_what_stands_before_the_first_wildcard)
{
    check_prefix("/a/b", "/a/b", true);
    check_prefix("/a\\*/b", "/a*/b", true);
    check_prefix("/a/b*", "/a/b", false);
    check_prefix("/a/**", "/a/", false);
    check_prefix("/a/**/b", "/a/", false);
    check_prefix("/a/[b]", "/a/", false);
    check_prefix("?", "", false);
    check_prefix("**/a", "", false);
    check_prefix("/", "/", true);
}
END_TEST

START_TEST(a_name_as_a_glob_matches_itself_alone)
{
    struct glob *glob;
    ck_assert_int_eq(glob_of_name(bytes_of_text("/a*/[b]\\"), &glob, NULL), 0);
    ck_assert(matches(glob, bytes_of_text("/a*/[b]\\")));
    ck_assert(!matches(glob, bytes_of_text("/ax/[b]\\")));
    ck_assert(!matches(glob, bytes_of_text("/a*/[b]")));
    glob_free(glob);
    ck_assert_int_eq(glob_of_name(bytes_of_text("/$weir"), &glob, NULL), 0);
    ck_assert(matches(glob, bytes_of_text("/$weir")));
    glob_free(glob);
    ck_assert_int_eq(glob_of_name(bytes_of_text("**"), &glob, NULL), 0);
    ck_assert(!glob_is_everything(glob));
    ck_assert(!matches(glob, bytes_of_text("a")));
    glob_free(glob);
    ck_assert_int_eq(glob_of_name(bytes_of_text(""), &glob, NULL), ERR_INVALID);
    ck_assert_int_eq(glob_of_name(bytes_of_text("\n"), &glob, NULL), ERR_INVALID);
}
END_TEST

// The slow and simple matcher: recursion that tries everything, for ASCII and classes without
// slashes.

static bool slow_class(const char **pattern, char character)
{
    const char *at = *pattern + 1;
    bool is_not = *at == '!';
    at += is_not;
    bool is_in = false;
    do {
        if (at[1] == '-' && at[2] != ']') {
            is_in |= character >= at[0] && character <= at[2];
            at += 3;
        } else {
            is_in |= character == *at++;
        }
    } while (*at != ']');
    *pattern = at + 1;
    return is_in != is_not;
}

static bool slow_component(const char *pattern, const char *name, bool at_start)
{
    bool is_leading_dot = at_start && *name == '.';
    bool at_end = *name == '\0' || *name == '/';
    switch (*pattern) {
    case '\0':
    case '/':
        return at_end;
    case '*':
        return slow_component(pattern + 1, name, at_start) ||
               (!at_end && !is_leading_dot && slow_component(pattern, name + 1, false));
    case '?':
        return !at_end && !is_leading_dot && slow_component(pattern + 1, name + 1, false);
    case '[':
        return !at_end && !is_leading_dot && slow_class(&pattern, *name) &&
               slow_component(pattern, name + 1, false);
    case '\\':
        pattern++;
        break;
    }
    return *pattern == *name && slow_component(pattern + 1, name + 1, false);
}

// What follows the next slash; NULL at the end.
static const char *slow_rest(const char *text)
{
    const char *slash = strchr(text, '/');
    return slash ? slash + 1 : NULL;
}

static bool slow_components(const char *pattern, const char *name)
{
    if (!pattern || !name) {
        return !pattern && !name;
    }
    bool is_double_star = strncmp(pattern, "**", 2) == 0;
    if (!is_double_star) {
        return slow_component(pattern, name, true) &&
               slow_components(slow_rest(pattern), slow_rest(name));
    }
    const char *behind = slow_rest(pattern);
    if (behind && slow_components(behind, name)) {
        return true;
    }
    if (*name == '.') {
        return false;
    }
    const char *rest = slow_rest(name);
    return (!behind && !rest) || slow_components(pattern, rest);
}

static bool slow_matches(const char *pattern, const char *name)
{
    if (strncmp(name, "/$", 2) == 0 && strncmp(pattern, "/$", 2) != 0) { // no "\\$" among pieces
        return false;
    }
    if (strcmp(pattern, "**") == 0 || strcmp(pattern, "/**/*") == 0) {
        return true;
    }
    return slow_components(pattern, name);
}

static void append_random(char *text, struct random *random, const char *const *pieces,
                          size_t count)
{
    strncat(text, pieces[random_below(random, count)], 8);
}

static void random_pattern(struct random *random, char text[128])
{
    static const char *const pieces[] = {"a",    "b",   ".",     "*", "?", "[ab]",
                                         "[!a]", "\\*", "[.-b]", "a", "*", "$"};
    text[0] = '\0';
    size_t components = 1 + random_below(random, 5);
    for (size_t i = 0; i < components; i++) {
        if (i > 0 || random_below(random, 2) == 0) {
            strncat(text, "/", 2);
        }
        if (random_below(random, 3) == 0) {
            strncat(text, "**", 3);
            continue;
        }
        size_t length = random_below(random, 4);
        for (size_t k = 0; k < length; k++) {
            size_t end = strlen(text);
            append_random(text, random, pieces, sizeof pieces / sizeof pieces[0]);
            if (text[end] == '*' && end > 0 && text[end - 1] == '*') {
                text[end] = '\0';
            }
        }
    }
    if (text[0] == '\0') {
        strncat(text, "a", 2);
    }
}

static void random_name(struct random *random, char text[128])
{
    static const char *const pieces[] = {"a", "b", ".", "a", "/", "/", "*", "$"};
    text[0] = '\0';
    size_t length = 1 + random_below(random, 10);
    if (random_below(random, 2) == 0) {
        strncat(text, "/", 2);
    }
    for (size_t i = 0; i < length; i++) {
        append_random(text, random, pieces, sizeof pieces / sizeof pieces[0]);
    }
}

START_TEST(matches_as_a_slow_and_simple_matcher_does)
{
    struct random random;
    random_init(&random, test_seed());
    unsigned matched = 0;
    for (unsigned i = 0; i < test_rounds(10000); i++) {
        char pattern[128];
        char name[128];
        random_pattern(&random, pattern);
        struct glob *glob = compile(bytes_of_text(pattern));
        for (unsigned k = 0; k < 20; k++) {
            random_name(&random, name);
            bool expected = slow_matches(pattern, name);
            if (matches(glob, bytes_of_text(name)) != expected) {
                ck_abort_msg("%s %s %s", pattern, expected ? "misses" : "matches", name);
            }
            matched += expected;
        }
        glob_free(glob);
    }
    ck_assert_uint_gt(matched, 100);
}
END_TEST

static void repeat(struct buffer *out, const char *text, size_t length_max)
{
    struct bytes piece = bytes_of_text(text);
    while (out->length + piece.length <= length_max) {
        ck_assert_int_eq(buffer_append(out, piece), 0);
    }
}

// With a matcher that backtracks freely, these would not end.
START_TEST(no_pattern_is_slow)
{
    static const char *const cases[][3] = {
        {"*a", "a", ""},         {"*?", "a", "b"},       {"**/a/", "a/", "b"},
        {"**/*a*/", "aa/", "b"}, {"*[!b]a", "aa", "aa"}, {"**/*/", "/", "b"},
        {"/", "/", "x"},         {"*", "a", "b"},        {"**/*a*?/**/?a*/", "aa/", "b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer pattern = {0};
        struct buffer name = {0};
        repeat(&pattern, cases[i][0], strcmp(cases[i][0], "*") == 0 ? 1 : PATTERN_BYTES_MAX - 1);
        ck_assert_int_eq(buffer_append(&pattern, bytes_of_text("b")), 0);
        repeat(&name, cases[i][1], NAMESPACE_BYTES_MAX - 1);
        ck_assert_int_eq(buffer_append(&name, bytes_of_text(cases[i][2])), 0);
        struct glob *glob = compile(buffer_bytes(&pattern));
        for (unsigned k = 0; k < test_rounds(20); k++) {
            matches(glob, buffer_bytes(&name));
        }
        glob_free(glob);
        buffer_deinit(&pattern);
        buffer_deinit(&name);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("glob");
    suite_add(suite, literal_patterns_match_themselves);
    suite_add(suite, star_and_question_mark_stay_within_a_component);
    suite_add(suite, double_star_matches_any_number_of_components);
    suite_add(suite, classes_match_one_character);
    suite_add(suite, classes_never_match_a_slash);
    suite_add(suite, a_leading_dot_is_matched_literally);
    suite_add(suite, double_star_tries_later_places_when_a_dot_bars_the_first);
    suite_add(suite, backslash_takes_the_next_character_literally);
    suite_add(suite, everything_is_everything_but_the_systems);
    suite_add(suite, system_names_need_a_pattern_that_begins_as_they_do);
    suite_add(suite, malformed_patterns_are_refused_with_the_place);
    suite_add(suite, prefix_is_what_stands_before_the_first_wildcard);
    suite_add(suite, a_name_as_a_glob_matches_itself_alone);
    suite_add(suite, matches_as_a_slow_and_simple_matcher_does);
    suite_add(suite, no_pattern_is_slow);
    return check_main(suite);
}
