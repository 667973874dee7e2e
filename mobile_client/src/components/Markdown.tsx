import {memo, type ReactNode, useMemo, useState} from 'react';
import {Linking, Platform, ScrollView, Text, View} from 'react-native';

import {useText} from '../i18n';
import {copyText} from '../services/files';
import {type Block, type Inline, parseMarkdown} from '../services/markdown';
import {font, radius, space} from '../theme/tokens';
import {type Theme, useTheme} from '../theme/ThemeContext';
import {Button} from './Button';
import {Words} from './Words';

const mono = Platform.select({ios: 'Menlo', default: 'monospace'});

/** What a model wrote, set as it meant it. */
export const Markdown = memo(function Markdown({text}: {text: string}) {
  const blocks = useMemo(() => parseMarkdown(text), [text]);
  return <Blocks blocks={blocks} />;
});

function Blocks({blocks}: {blocks: readonly Block[]}) {
  return (
    <View style={{gap: space.small}}>
      {blocks.map((block, index) => (
        <BlockView key={index} block={block} />
      ))}
    </View>
  );
}

function BlockView({block}: {block: Block}) {
  const theme = useTheme();
  const {colors} = theme;
  switch (block.kind) {
    case 'paragraph':
      return <Words selectable>{inline(block.children, theme)}</Words>;
    case 'heading':
      return (
        <Words look={block.level <= 2 ? 'title' : 'large'} selectable role="heading" aria-level={Math.min(6, block.level + 2)}>
          {inline(block.children, theme)}
        </Words>
      );
    case 'code':
      return <Code text={block.text} language={block.language} />;
    case 'quote':
      return (
        <View style={{borderStartWidth: space.tiny, borderStartColor: colors.edge, paddingStart: space.medium}}>
          <Blocks blocks={block.children} />
        </View>
      );
    case 'list':
      return (
        <View role="list" style={{gap: space.tiny}}>
          {block.items.map((item, index) => (
            <View role="listitem" key={index} style={{flexDirection: 'row', gap: space.small}}>
              <Words>{block.ordered ? `${block.start + index}.` : '•'}</Words>
              <View style={{flex: 1, minWidth: 0}}>
                <Blocks blocks={item} />
              </View>
            </View>
          ))}
        </View>
      );
    case 'table':
      return <Table block={block} />;
    case 'rule':
      return <View style={{height: 1, backgroundColor: colors.edge}} />;
  }
}

function Code({text, language}: {text: string; language: string}) {
  const t = useText();
  const {colors} = useTheme();
  const [copied, setCopied] = useState(false);
  return (
    <View style={{backgroundColor: colors.code, borderRadius: radius.small, borderWidth: 1, borderColor: colors.line}}>
      <View style={{flexDirection: 'row', alignItems: 'center', justifyContent: 'space-between', paddingStart: space.medium}}>
        <Words look="small">{language || t('code')}</Words>
        <Button
          look="plain"
          icon={copied ? 'check' : 'copy'}
          label={copied ? t('copied') : t('copyCode')}
          onPress={() => {
            void copyText(text).then(() => setCopied(true));
          }}
        />
      </View>
      <ScrollView horizontal tabIndex={0} contentContainerStyle={{padding: space.medium, paddingTop: 0}}>
        <Text selectable style={{fontFamily: mono, fontSize: font.small, lineHeight: font.small * 1.5, color: colors.text, writingDirection: 'ltr'}}>
          {text}
        </Text>
      </ScrollView>
    </View>
  );
}

/** Columns share the room evenly down to this width; then the table scrolls. */
const column = 84;

function Table({block}: {block: Extract<Block, {kind: 'table'}>}) {
  const theme = useTheme();
  const {colors} = theme;
  const row = (cells: readonly Inline[][], head: boolean, key: number) => (
    <View role="row" key={key} style={{flexDirection: 'row', backgroundColor: head ? colors.raised : 'transparent', borderTopWidth: key > 0 ? 1 : 0, borderTopColor: colors.line}}>
      {cells.map((cell, index) => (
        <View role={head ? 'columnheader' : 'cell'} key={index} style={{flex: 1, minWidth: column, padding: space.small}}>
          <Words style={{textAlign: block.align[index] ?? 'auto', fontWeight: head ? '600' : '400'}}>{inline(cell, theme)}</Words>
        </View>
      ))}
    </View>
  );
  return (
    <ScrollView horizontal tabIndex={0} contentContainerStyle={{flexGrow: 1}}>
      <View role="table" style={{flexGrow: 1, borderWidth: 1, borderColor: colors.line, borderRadius: radius.small, overflow: 'hidden'}}>
        {row(block.head, true, 0)}
        {block.rows.map((cells, index) => row(cells, false, index + 1))}
      </View>
    </ScrollView>
  );
}

function inline(nodes: readonly Inline[], theme: Theme): ReactNode {
  const {colors} = theme;
  return nodes.map((node, index) => {
    switch (node.kind) {
      case 'text':
        return node.text;
      case 'break':
        return '\n';
      case 'code':
        return (
          <Text key={index} style={{fontFamily: mono, backgroundColor: colors.code}}>
            {node.text}
          </Text>
        );
      case 'link':
        return (
          <Text key={index} role="link" onPress={() => void Linking.openURL(node.href)} style={{color: colors.accent, textDecorationLine: 'underline'}}>
            {inline(node.children, theme)}
          </Text>
        );
      default: {
        const style = {
          strong: {fontWeight: '700'},
          emphasis: {fontStyle: 'italic'},
          strike: {textDecorationLine: 'line-through'},
        } as const;
        return (
          <Text key={index} style={style[node.kind]}>
            {inline(node.children, theme)}
          </Text>
        );
      }
    }
  });
}
